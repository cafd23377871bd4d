/**
 * The instruction in hand as helpers see it: where it stands, where its memory operand lies, how it
 * ends or faults. The run loop around it is the processor's.
 */
import { assert } from "../../base/assert.ts";
import type { Instruction } from "../decoder/instruction.ts";
import type { CodeMode } from "../interpreter/forms.ts";
import {
  attribute, cr0Bits, exitReason, microOp, pageRipSlot, registers, segmentIndex, status, vector,
} from "../layout.ts";
import { GuestFault, hasErrorCode } from "./fault.ts";
import { GuestState } from "./guest-state.ts";
import type { MemoryAccess } from "./memory-access.ts";

export abstract class Execution extends GuestState {
  abstract readonly access: MemoryAccess;
  /** Micro-op of the helper at work. */
  protected upc = 0;
  /** What the code segment says of code, and the stack segment of the stack. */
  protected mode: CodeMode = { bits: 16, stackBits: 16 };

  /** Derives code mode and TLB sets from the registers; after any change of them. */
  abstract sync(): void;

  get codeMode(): CodeMode {
    return this.mode;
  }

  get codeBits(): 16 | 32 | 64 {
    return this.mode.bits;
  }

  /** RIP of the instruction in hand. */
  get instructionRip(): bigint {
    const place = this.view.getUint16(this.upc + microOp.place, true);
    return this.maskRip(this.view.getBigUint64(registers + pageRipSlot, true)
      + BigInt(place & 0xfff));
  }

  nextRip(instruction: Instruction): bigint {
    return this.maskRip(this.instructionRip + BigInt(instruction.length));
  }

  maskRip(rip: bigint): bigint {
    return BigInt.asUintN(this.codeBits === 64 ? 64 : 32, rip);
  }

  /** Ends the helper: RIP goes on behind the instruction, with modes and translations anew. */
  resyncAfter(instruction: Instruction): number {
    this.rip = this.nextRip(instruction);
    return this.resync();
  }

  resync(): number {
    this.sync();
    return status.leave + exitReason.resync;
  }

  /** The same, and interrupts wait for one more instruction. */
  shadowAfter(instruction: Instruction): number {
    this.rip = this.nextRip(instruction);
    this.sync();
    return status.leave + exitReason.shadow;
  }

  haltAfter(instruction: Instruction): number {
    this.rip = this.nextRip(instruction);
    return status.leave + exitReason.halt;
  }

  raise(which: number, error?: number): never {
    throw new GuestFault(which, error ?? (hasErrorCode(which) ? 0 : undefined));
  }

  requireCpl0(): void {
    if (this.cpl !== 0) {
      this.raise(vector.gp, 0);
    }
  }

  /** Effective address of the memory operand, cut to the address size. */
  offsetOf(instruction: Instruction): bigint {
    const { memory, addressWidth } = instruction;
    assert(memory !== undefined, "the instruction has a memory operand");
    let offset = memory.displacement;
    if (memory.ripRelative) {
      offset += this.nextRip(instruction);
    }
    if (memory.base >= 0) {
      offset += this.gpr(memory.base);
    }
    if (memory.index >= 0 && !memory.vectorIndex) {
      offset += this.gpr(memory.index) << BigInt(memory.scale);
    }
    return BigInt.asUintN(addressWidth, offset);
  }

  /** Checked linear address of the memory operand. */
  linear(instruction: Instruction, bytes: number, write: boolean): bigint {
    return this.linearAt(instruction.segment, this.offsetOf(instruction), bytes, write);
  }

  /** Linear address of `bytes` at an offset in a segment (SDM 3A §5.3). */
  linearAt(segment: number, offset: bigint, bytes: number, write: boolean): bigint {
    if (this.is64Bit) {
      const base = segment >= segmentIndex.fs && segment <= segmentIndex.gs
        ? this.segmentBase(segment) : 0n;
      const linear = BigInt.asUintN(64, base + offset);
      if (!isCanonical(linear) || !isCanonical(linear + BigInt(bytes - 1))) {
        this.raise(segment === segmentIndex.ss ? vector.ss : vector.gp, 0);
      }
      return linear;
    }
    const attributes = this.segmentAttributes(segment);
    const isCode = (attributes & 8) !== 0, second = (attributes & 2) !== 0;
    const kindOk = (attributes & attribute.unusable) === 0
      && (write ? !isCode && second : !isCode || second);
    const limit = BigInt(this.segmentLimit(segment));
    const last = offset + BigInt(bytes - 1);
    const down = !isCode && (attributes & 4) !== 0;
    const top = (attributes & attribute.big) !== 0 ? 0xffff_ffffn : 0xffffn;
    if (!kindOk || (down ? offset <= limit || last > top : last > limit)) {
      this.raise(segment === segmentIndex.ss ? vector.ss : vector.gp, 0);
    }
    return BigInt.asUintN(32, this.segmentBase(segment) + offset);
  }

  read(linear: bigint, bytes: number): bigint {
    return this.access.read(linear, bytes);
  }

  write(linear: bigint, bytes: number, value: bigint): void {
    this.access.write(linear, bytes, value);
  }

  readBytes(linear: bigint, length: number): Uint8Array {
    return this.access.readBytes(linear, length);
  }

  writeBytes(linear: bigint, bytes: Uint8Array): void {
    this.access.writeFrom(linear, bytes);
  }

  /** CR0 bits that a helper asks for. */
  hasCr0(bit: keyof typeof cr0Bits): boolean {
    return (this.cr0 & cr0Bits[bit]) !== 0;
  }
}

export function isCanonical(linear: bigint): boolean {
  const sign = BigInt.asIntN(48, linear);
  return BigInt.asUintN(64, sign) === BigInt.asUintN(64, linear);
}
