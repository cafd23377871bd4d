/** Debug registers (Intel SDM 3B §17.2): code and data breakpoints, single-step, general detect. */
import type { Instruction } from "../decoder/instruction.ts";
import { cr4Bits, eflags, segmentIndex, vector } from "../layout.ts";
import { touchedBy, type Touched } from "./debug-accesses.ts";
import type { Processor } from "./processor.ts";

const dr6 = { fixed: 0xffff_0ff0, detected: 1 << 13, step: 1 << 14, task: 1 << 15 };
const dr7 = { fixed: 0x400, enables: 0xff, detect: 1 << 13, writable: 0xffff_2bff };
const kind = { execute: 0, write: 1, io: 2, access: 3 };
const lengths = [1, 2, 8, 4];

export class DebugRegisters {
  readonly #cpu: Processor;
  readonly #address: bigint[] = [0n, 0n, 0n, 0n];
  #status = dr6.fixed >>> 0;
  #control = dr7.fixed;
  /** Breakpoints of data that the instruction in hand touches. */
  #touched = 0;
  #taskTrap = false;

  constructor(cpu: Processor) {
    this.#cpu = cpu;
  }

  reset(): void {
    this.#address.fill(0n);
    this.#status = dr6.fixed >>> 0;
    this.#control = dr7.fixed;
    this.#touched = 0;
    this.#taskTrap = false;
  }

  /** Breakpoints are on: code runs an instruction at a time. */
  get steps(): boolean {
    return (this.#control & dr7.enables) !== 0 || this.#taskTrap;
  }

  #requireAccess(number: number): number {
    const alias = number === 4 || number === 5;
    if (alias && (this.#cpu.cr4 & cr4Bits.de) !== 0) {
      this.#cpu.raise(vector.ud);
    }
    if (number > 7) {
      this.#cpu.raise(vector.ud);
    }
    if ((this.#control & dr7.detect) !== 0) {
      this.#control &= ~dr7.detect;
      this.#status = (this.#status | dr6.detected) >>> 0;
      this.#cpu.raise(vector.db);
    }
    return alias ? number + 2 : number;
  }

  read(number: number): bigint {
    return this.value(this.#requireAccess(number));
  }

  /** DR0 to DR3, DR6 and DR7, past the checks of a guest's access. */
  value(which: number): bigint {
    return which < 4 ? this.#address[which] ?? 0n
      : BigInt(which === 6 ? this.#status : this.#control);
  }

  write(number: number, value: bigint): void {
    const which = this.#requireAccess(number);
    if (which >= 6 && value > 0xffff_ffffn) {
      this.#cpu.raise(vector.gp, 0);
    }
    this.setValue(which, value);
  }

  setValue(which: number, value: bigint): void {
    if (which < 4) {
      this.#address[which] = value;
    } else if (which === 6) {
      this.#status = (dr6.fixed | (Number(value) & 0xe00f)) >>> 0;
    } else {
      this.#control = ((Number(value) & dr7.writable) | dr7.fixed) >>> 0;
    }
  }

  /** A task switch clears the local enables; the T flag of the new TSS traps (SDM 3A §7.2.1). */
  taskSwitch(trap: boolean): void {
    this.#control &= ~0x55;
    this.#taskTrap = trap;
  }

  #isEnabled(index: number): boolean {
    return ((this.#control >>> (index * 2)) & 3) !== 0;
  }

  #kindOf(index: number): number {
    return (this.#control >>> (16 + index * 4)) & 3;
  }

  /** A code breakpoint stands at RIP, and RF does not pass it. */
  stopsAt(flags: number): boolean {
    if (!this.steps) {
      return false;
    }
    if (this.#taskTrap) {
      this.#taskTrap = false;
      this.#status = (this.#status | dr6.task) >>> 0;
      return true;
    }
    if ((flags & eflags.rf) !== 0) {
      return false;
    }
    const cpu = this.#cpu;
    const linear = cpu.codeBits === 64 ? cpu.rip
      : BigInt.asUintN(32, cpu.rip + cpu.segmentBase(segmentIndex.cs));
    let hit = 0;
    for (let index = 0; index < 4; index += 1) {
      if (this.#isEnabled(index) && this.#kindOf(index) === kind.execute
        && this.#address[index] === linear) {
        hit |= 1 << index;
      }
    }
    this.#status = ((this.#status & ~(hit === 0 ? 0 : 15)) | hit) >>> 0;
    return hit !== 0;
  }

  /** Looks which breakpoints on data and ports `instruction` will touch. */
  watch(instruction: Instruction): void {
    this.#touched = 0;
    if ((this.#control & dr7.enables) === 0) {
      return;
    }
    for (const touched of touchedBy(this.#cpu, instruction)) {
      for (let index = 0; index < 4; index += 1) {
        if (this.#isEnabled(index) && this.#watches(index, touched)) {
          this.#touched |= 1 << index;
        }
      }
    }
  }

  #watches(index: number, { space, start, bytes, writes }: Touched): boolean {
    const which = this.#kindOf(index);
    const wanted = space === "ports" ? which === kind.io && (this.#cpu.cr4 & cr4Bits.de) !== 0
      : which === kind.access || (which === kind.write && writes);
    const length = BigInt(lengths[(this.#control >>> (18 + index * 4)) & 3] ?? 1);
    const from = (this.#address[index] ?? 0n) & ~(length - 1n);
    return wanted && start < from + length && start + BigInt(bytes) > from;
  }

  /** After an instruction: true when #DB follows. */
  finish(stepped: boolean): boolean {
    const touched = this.#touched;
    this.#touched = 0;
    if (touched === 0 && !stepped) {
      return false;
    }
    this.#status = ((this.#status & ~15) | touched | (stepped ? dr6.step : 0)) >>> 0;
    return true;
  }
}
