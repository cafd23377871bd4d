/** The same cases on our processor: 64-bit user mode, the address space of layout.ts. */
import { attribute, cr0Bits, cr4Bits, eferBits, registers, segmentIndex, state, vector } from
  "../../../src/cpu/layout.ts";
import { allFeatures } from "../../../src/cpu/system/features.ts";
import { Processor } from "../../../src/cpu/system/processor.ts";
import { x87Offset } from "../../../src/cpu/x87/state.ts";
import type { Batch } from "./cases.ts";
import { fx } from "./float-state.ts";
import {
  at, codeBase, codeBytes, dataBase, dataBytes, edgeBytes, gsBase, headerBytes,
  middleBytes, narrowBase, narrowLimit, noVector, options, upperBytes, type CodeBits,
} from "./layout.ts";

const ramBytes = 4 << 20;
const tables = 0x1000, codeAt = 0x10_0000, dataAt = 0x20_0000;
const pageTable = { present: 1, write: 2, user: 4, accessed: 0x20, dirty: 0x40 } as const;
const noExecute = 1n << 63n;
const branchesMax = 10_000;

const nothing = () => 0;

class UserProcessor extends Processor {
  faultVector = noVector;
  faultError = 0;

  /** Exceptions end the case instead. */
  override deliver(which: number, error: number | undefined): void {
    this.faultVector = which;
    this.faultError = error ?? 0;
    this.endSlice();
  }
}

export class InterpreterDriver {
  readonly #cpu: UserProcessor;
  /** The data pages: shared memory is filled faster by words. */
  readonly #dataWords: BigUint64Array;

  /** `compiled`: every case runs as compiled code from its first instruction on. */
  constructor(compiled: boolean) {
    this.#cpu = new UserProcessor({
      jit: compiled ? { threshold: 1 } : "off",
      ramBytes, now: nothing, entropy: () => {}, features: allFeatures,
      bus: { mmioRead: nothing, mmioWrite: () => {}, portRead: nothing, portWrite: () => {} },
    });
    this.#dataWords = new BigUint64Array(this.#cpu.bytes.buffer, this.#ram(dataAt), dataBytes / 8);
    this.#enterUserMode();
  }

  /** Regions that were compiled so far. */
  get regionsCompiled(): number {
    return this.#cpu.regions?.counts.compiled ?? 0;
  }

  #ram(address: number): number {
    return this.#cpu.map.ram + address;
  }

  /** Page tables for the code and data of layout.ts, and nothing else. */
  #mapMemory(): void {
    const { view } = this.#cpu;
    const { present, write, user, accessed, dirty } = pageTable;
    const bits = BigInt(present | write | user | accessed | dirty);
    let next = tables + 0x1000;
    const entry = (table: number, index: number) => {
      const place = this.#ram(table + index * 8);
      if (view.getBigUint64(place, true) === 0n) {
        view.setBigUint64(place, BigInt(next) | bits, true);
        next += 0x1000;
      }
      return Number(view.getBigUint64(place, true) & ~0xfffn);
    };
    const map = (linear: number, physical: number, length: number, extra: bigint) => {
      for (let done = 0; done < length; done += 0x1000) {
        const page = (linear + done) / 0x1000;
        const directory = entry(entry(tables, 0), page >> 18);
        const table = entry(directory, page >> 9 & 511);
        view.setBigUint64(this.#ram(table + (page & 511) * 8), BigInt(physical + done) | bits
          | extra, true);
      }
    };
    map(codeBase, codeAt, codeBytes, 0n);
    map(dataBase, dataAt, dataBytes, noExecute);
  }

  #enterUserMode(): void {
    const cpu = this.#cpu;
    this.#mapMemory();
    cpu.setU64(state.cr3, BigInt(tables));
    cpu.setU64(state.cr4, BigInt(cr4Bits.pae | cr4Bits.osfxsr | cr4Bits.osxmmexcpt
      | cr4Bits.osxsave | cr4Bits.fsgsbase));
    cpu.setU64(state.cr0, BigInt(cr0Bits.pe | cr0Bits.pg | cr0Bits.wp | cr0Bits.ne | cr0Bits.mp
      | cr0Bits.et));
    cpu.setU64(state.efer, BigInt(eferBits.lme | eferBits.lma | eferBits.nxe | eferBits.sce));
    const flat = { base: 0n, limit: 0xffff_ffff };
    for (const index of [segmentIndex.fs, segmentIndex.gs]) {
      cpu.setSegment(index, { ...flat, selector: 0, attributes: attribute.unusable });
    }
    for (const index of [segmentIndex.es, segmentIndex.ds, segmentIndex.ss]) {
      cpu.setSegment(index, { ...flat, selector: 0x2b, attributes: 0xc0f3 });
    }
    // Too short for an I/O map: every port is forbidden.
    cpu.setSegment(segmentIndex.tr, { selector: 0x40, base: 0n, limit: 0x40, attributes: 0x8b });
    cpu.setSegmentBase(segmentIndex.gs, BigInt(gsBase));
    cpu.setU32(state.cpl, 3);
    cpu.msr.xcr0 = 7;
    cpu.flushTlb();
    this.#setMode(64);
  }

  /** 64-bit code, or 32-bit or 16-bit code in compatibility mode. */
  #setMode(bits: CodeBits): void {
    const cpu = this.#cpu;
    const flat = { base: 0n, limit: 0xffff_ffff };
    const code = {
      16: { base: BigInt(codeBase), limit: 0xffff, selector: 7, attributes: 0xfb },
      32: { ...flat, selector: 0x23, attributes: 0xc0fb },
      64: { ...flat, selector: 0x33, attributes: 0xa0fb },
    };
    cpu.setSegment(segmentIndex.cs, code[bits]);
    for (const index of [segmentIndex.es, segmentIndex.ds]) {
      cpu.setSegment(index, bits === 16
        ? { base: BigInt(narrowBase), limit: narrowLimit, selector: 0xf, attributes: 0xf3 }
        : { ...flat, selector: 0x2b, attributes: 0xc0f3 });
    }
    cpu.sync();
  }

  /** Runs a batch; the answer has the form of the native host's. */
  run(batch: Batch): Uint8Array {
    const answer = batch.bytes.slice(headerBytes);
    const view = new DataView(answer.buffer);
    const { bytes } = this.#cpu;
    const code = this.#ram(codeAt);
    bytes.fill(0xf4, code, code + codeBytes);
    for (let index = 0; index < batch.cases.length; index += 1) {
      const base = index * batch.recordBytes;
      const start = view.getUint32(base + at.rip, true) - codeBase;
      const length = view.getUint32(base + at.codeLength, true);
      bytes.set(answer.subarray(base + at.code, base + at.code + length), code + start);
    }
    this.#setMode(batch.bits);
    this.#cpu.code.flush();
    for (let index = 0; index < batch.cases.length; index += 1) {
      this.#runCase(answer, view, index * batch.recordBytes);
    }
    return answer;
  }

  #runCase(answer: Uint8Array, view: DataView, base: number): void {
    const cpu = this.#cpu;
    const float = (view.getUint32(base + at.options, true) & options.float) !== 0;
    this.#load(answer, view, base, float);
    const origin = (view.getUint32(base + at.options, true) & options.narrow) !== 0 ? codeBase : 0;
    const start = view.getUint32(base + at.rip, true) - origin;
    cpu.rip = BigInt(start);
    cpu.faultVector = noVector;
    cpu.faultError = 0;
    try {
      cpu.run(branchesMax);
    } catch (error) {
      const code = answer.subarray(base + at.code, base + at.code + 15);
      throw new Error(`the interpreter broke on ${Buffer.from(code).toString("hex")}`,
        { cause: error });
    }
    this.#copyMemory(answer, base, false);
    answer.set(cpu.bytes.subarray(registers, registers + 128), base + at.gpr);
    view.setUint32(base + at.rflags, cpu.flags, true);
    view.setBigUint64(base + at.rip, cpu.rip, true);
    const end = start + view.getUint32(base + at.codeLength, true);
    const stopped = (view.getUint32(base + at.options, true) & options.stopAtOnce) === 0
      && cpu.faultVector === vector.gp && cpu.rip === BigInt(end);
    view.setUint32(base + at.vector, stopped ? noVector : cpu.faultVector, true);
    view.setUint32(base + at.error, stopped ? 0 : cpu.faultError, true);
    view.setBigUint64(base + at.address, cpu.u64(state.cr2), true);
    if (float) {
      this.#storeFloat(view, answer, base + at.fx);
      answer.set(cpu.bytes.subarray(state.ymmHigh, state.ymmHigh + 16 * upperBytes),
        base + at.upper);
    }
  }

  #load(answer: Uint8Array, view: DataView, base: number, float: boolean): void {
    const cpu = this.#cpu;
    cpu.bytes.set(answer.subarray(base + at.gpr, base + at.gpr + 128), registers);
    cpu.flags = view.getUint32(base + at.rflags, true);
    this.#dataWords.fill(0n);
    this.#copyMemory(answer, base, true);
    if (float) {
      this.#loadFloat(view, answer, base + at.fx);
      cpu.bytes.set(answer.subarray(base + at.upper, base + at.upper + 16 * upperBytes),
        state.ymmHigh);
    }
  }

  #copyMemory(answer: Uint8Array, base: number, into: boolean): void {
    const { bytes } = this.#cpu;
    const data = this.#ram(dataAt);
    const parts = [[0, edgeBytes], [dataBytes / 2 - middleBytes / 2, middleBytes],
      [dataBytes - edgeBytes, edgeBytes]] as const;
    let offset = base + at.memory;
    for (const [from, length] of parts) {
      if (into) {
        bytes.set(answer.subarray(offset, offset + length), data + from);
      } else {
        answer.set(bytes.subarray(data + from, data + from + length), offset);
      }
      offset += length;
    }
  }

  #loadFloat(view: DataView, image: Uint8Array, base: number): void {
    const { view: guest, bytes } = this.#cpu;
    const status = view.getUint16(base + fx.status, true);
    bytes.fill(0, state.x87, state.x87 + x87Offset.registers);
    guest.setUint16(state.x87 + x87Offset.control, view.getUint16(base + fx.control, true), true);
    guest.setUint16(state.x87 + x87Offset.status, status, true);
    guest.setUint8(state.x87 + x87Offset.used, view.getUint8(base + fx.tag));
    for (let index = 0; index < 8; index += 1) {
      const physical = (status >> 11) + index & 7;
      bytes.set(image.subarray(base + fx.st + index * 16, base + fx.st + index * 16 + 10),
        state.x87 + x87Offset.registers + physical * x87Offset.registerStride);
    }
    guest.setUint32(state.mxcsr, view.getUint32(base + fx.mxcsr, true), true);
    bytes.set(image.subarray(base + fx.xmm, base + fx.end), state.xmm);
  }

  #storeFloat(view: DataView, image: Uint8Array, base: number): void {
    const { view: guest, bytes } = this.#cpu;
    const status = guest.getUint16(state.x87 + x87Offset.status, true);
    view.setUint16(base + fx.control, guest.getUint16(state.x87 + x87Offset.control, true), true);
    view.setUint16(base + fx.status, status, true);
    view.setUint8(base + fx.tag, guest.getUint8(state.x87 + x87Offset.used));
    for (let index = 0; index < 8; index += 1) {
      const from = state.x87 + x87Offset.registers
        + ((status >> 11) + index & 7) * x87Offset.registerStride;
      image.set(bytes.subarray(from, from + 10), base + fx.st + index * 16);
    }
    view.setUint32(base + fx.mxcsr, guest.getUint32(state.mxcsr, true), true);
    image.set(bytes.subarray(state.xmm, state.xmm + fx.end - fx.xmm), base + fx.xmm);
  }
}

