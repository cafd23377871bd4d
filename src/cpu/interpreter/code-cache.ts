/**
 * Decoded code, by physical page: micro-ops in one arena, and for each page a table from offset
 * to micro-op. A store into a 64-byte line that holds decoded code drops the whole page.
 */
import { assert, defined } from "../../base/assert.ts";
import { decode, type DecodeMode } from "../decoder/decode.ts";
import type { DecodeResult, Instruction } from "../decoder/instruction.ts";
import { instructionBytesMax } from "../decoder/prefixes.ts";
import { emptyTag, itlbBase, itlbBytes, microOp, tlbArrayBytes, tlbBase, tlbSetBytes,
  tlbSetCount } from "../layout.ts";
import type { FlagEffect } from "../isa/flags.ts";
import type { CodeMode } from "./forms.ts";
import { builtin } from "./builtin.ts";
import type { GeneratedInterpreter } from "./generate.ts";
import { lower, type MicroOpFields } from "./lower.ts";
import { indexTableBytes, type MemoryMap } from "../tier/memory-map.ts";
import { emptyTlbArray } from "../tier/tlb.ts";

/** A run of straight code is cut here; the rest is decoded when it is reached. */
const runInstructionsMax = 64;
/** Room for one run: instructions of three micro-ops, and the jump that ends it. */
const runBytesMax = (runInstructionsMax * 3 + 2) * microOp.bytes;
/** At the end of the arena: an instruction of two micro-ops and the jump behind it. */
const singleBytes = 4 * microOp.bytes;

/** What a helper is told of the instruction it stands for; "undefined" and "long" raise. */
export type HelperRecord = Instruction | "undefined" | "long";

export interface CodePage {
  readonly host: number;
  readonly mode: CodeMode;
  /** Address of the index table. */
  readonly table: number;
  readonly microOps: number[];
  /** Instruction at the page's end that goes on in the next page. */
  crossing: Crossing | undefined;
}

interface Crossing {
  readonly offset: number;
  /** Host address of the second page. */
  readonly second: number;
  readonly start: number;
  valid: boolean;
}

export class CodeCache {
  /** Looks up what a helper's micro-op stands for. */
  readonly records = new Map<number, HelperRecord>();
  /** Told before a page's micro-ops go. */
  onDrop: (page: CodePage) => void = () => {};
  /** Told before all of them go. */
  onFlush: () => void = () => {};
  /** Bytes being decoded. */
  readonly #window = new Uint8Array(instructionBytesMax);
  readonly #byTable = new Map<number, CodePage>();
  /** Changes whenever pages are dropped. */
  invalidations = 0;
  decodedInstructions = 0;
  /** The instruction that `single` has decoded. */
  lastDecoded: Instruction | undefined;
  readonly #map: MemoryMap;
  readonly #generated: GeneratedInterpreter;
  readonly #features: ReadonlySet<string>;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #pages = new Map<number, CodePage[]>();
  /** Micro-ops of the run being decoded whose flags nobody has looked at yet. */
  readonly #flagWriters: number[] = [];
  readonly #crossings = new Map<number, Crossing[]>();
  #freeTables: number[] = [];
  #nextMicroOp: number;

  constructor(
    buffer: ArrayBufferLike, map: MemoryMap, generated: GeneratedInterpreter,
    features: ReadonlySet<string>,
  ) {
    this.#map = map;
    this.#generated = generated;
    this.#features = features;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#nextMicroOp = map.microOps;
    this.#resetTables();
  }

  #resetTables(): void {
    const { indexTables, indexTableCount } = this.#map;
    this.#freeTables = Array.from({ length: indexTableCount }, (_, number) =>
      indexTables + (indexTableCount - 1 - number) * indexTableBytes);
  }

  /** Forgets everything: the arena is full, or the machine was reset. */
  flush(): void {
    this.onFlush();
    this.#byTable.clear();
    for (const list of this.#pages.values()) {
      for (const page of list) {
        this.#bytes.fill(0, page.table, page.table + indexTableBytes);
      }
    }
    this.#pages.clear();
    this.#crossings.clear();
    this.records.clear();
    const { codePages, codeLines, pages } = this.#map;
    this.#bytes.fill(0, codePages, codePages + pages);
    this.#bytes.fill(0, codeLines, codeLines + 8 * pages);
    this.#nextMicroOp = this.#map.microOps;
    this.#resetTables();
    this.#flushInstructionTlb();
    this.invalidations += 1;
  }

  #flushInstructionTlb(): void {
    this.#bytes.fill(emptyTag, itlbBase, itlbBase + tlbSetCount * itlbBytes);
  }

  #pageIndex(host: number): number {
    return (host - this.#map.ram) >>> 12;
  }

  /** The page at this host address decoded for this mode, made if there is none. */
  page(host: number, mode: CodeMode): CodePage {
    const number = this.#pageIndex(host);
    const list = this.#pages.get(number);
    const found = list?.find((page) =>
      page.mode.bits === mode.bits && page.mode.stackBits === mode.stackBits);
    if (found !== undefined) {
      return found;
    }
    if (this.#freeTables.length === 0) {
      this.flush();
    }
    const table = defined(this.#freeTables.pop(), "an index table");
    const page: CodePage = { host, mode, table, microOps: [], crossing: undefined };
    this.#pages.set(number, [...this.#pages.get(number) ?? [], page]);
    this.#byTable.set(table, page);
    return page;
  }

  /** The page that has this index table. */
  pageOfTable(table: number): CodePage | undefined {
    return this.#byTable.get(table);
  }

  /** What stands at an offset of a page; "short" when it goes on in the next page. */
  decodeAt(page: CodePage, offset: number): DecodeResult {
    const length = Math.min(instructionBytesMax, 4096 - offset);
    const window = length === instructionBytesMax ? this.#window : new Uint8Array(length);
    for (let index = 0; index < length; index += 1) {
      window[index] = this.#bytes[page.host + offset + index] ?? 0;
    }
    return decode(window, this.#decodeMode(page.mode));
  }

  /** The micro-op at an offset of a page, decoding it if need be; 0 when it crosses the page. */
  microOpAt(page: CodePage, offset: number): number {
    const known = this.#view.getUint32(page.table + offset * 4, true);
    return known !== 0 ? known : this.#decodeRun(page, offset);
  }

  /** Another run can be decoded without a flush. */
  get isRoomy(): boolean {
    return this.#nextMicroOp + runBytesMax + singleBytes <= this.#map.microOpsEnd;
  }

  /** True when another run can be decoded; flushes and says false otherwise. */
  hasRoom(): boolean {
    if (this.isRoomy) {
      return true;
    }
    this.flush();
    return false;
  }

  #decodeMode(mode: CodeMode): DecodeMode {
    return { bits: mode.bits, features: this.#features };
  }

  #decodeRun(page: CodePage, start: number): number {
    this.#flagWriters.length = 0;
    const first = this.#nextMicroOp;
    let offset = start;
    for (let count = 0; count < runInstructionsMax; count += 1) {
      if (offset >= 4096) {
        this.#emit(page, leavePage(offset), offset, 0);
        break;
      }
      if (count > 0 && this.#view.getUint32(page.table + offset * 4, true) !== 0) {
        this.#emit(page, goto(offset), offset, 0);
        break;
      }
      const result = this.decodeAt(page, offset);
      if (result.status === "short") {
        if (count === 0) {
          return 0;
        }
        this.#emit(page, goto(offset), offset, 0);
        break;
      }
      this.#watch(page.host + offset, result.status === "ok" ? result.instruction.length : 1);
      const at = this.#nextMicroOp;
      const ended = this.#emitInstruction(page, result, offset);
      this.#view.setUint32(page.table + offset * 4, at, true);
      if (ended || result.status !== "ok") {
        break;
      }
      offset += result.instruction.length;
      if (count === runInstructionsMax - 1) {
        this.#emit(page, offset >= 4096 ? leavePage(offset) : goto(offset), offset, 0);
      }
    }
    return first;
  }

  /** Emits one instruction; true when nothing falls through. */
  #emitInstruction(page: CodePage, result: DecodeResult, offset: number): boolean {
    this.decodedInstructions += 1;
    if (result.status !== "ok") {
      this.#flagWriters.length = 0;
      const at = this.#emit(page, helperFields, offset, 0);
      this.records.set(at, result.status === "long" ? "long" : "undefined");
      return true;
    }
    const { instruction } = result;
    const lowered = lower(instruction, offset, page.mode, this.#generated);
    let at = 0;
    for (const fields of lowered.microOps) {
      at = this.#emit(page, fields, offset, instruction.length);
    }
    this.#followFlags(lowered.flags, at);
    if (lowered.needsInstruction) {
      this.records.set(at, instruction);
    }
    return lowered.ends;
  }

  /**
   * Flags that the code before has written are dead once an instruction overwrites them all and
   * nothing in between could look at them or fault: those micro-ops then need not compute them.
   */
  #followFlags(effect: FlagEffect | undefined, at: number): void {
    if (effect?.reads !== false) {
      this.#flagWriters.length = 0;
    } else if (effect.kills) {
      for (const writer of this.#flagWriters) {
        const operation = this.#view.getUint16(writer + microOp.operation, true);
        const quiet = this.#generated.withoutFlags.get(operation);
        if (quiet !== undefined) {
          this.#view.setUint16(writer + microOp.operation, quiet, true);
        }
      }
      this.#flagWriters.length = 0;
    }
    if (effect === undefined || effect.writes) {
      this.#flagWriters.push(at);
    }
  }

  #emit(page: CodePage, fields: MicroOpFields, offset: number, length: number): number {
    const at = this.#nextMicroOp;
    const view = this.#view;
    this.#nextMicroOp += microOp.bytes;
    assert(this.#nextMicroOp <= this.#map.microOpsEnd, "the arena has room for a run");
    view.setUint16(at + microOp.operation, fields.operation, true);
    view.setUint16(at + microOp.place, (offset & 0xfff) | (length << 12), true);
    view.setUint8(at + microOp.first, fields.first);
    view.setUint8(at + microOp.base, fields.base);
    view.setUint8(at + microOp.index, fields.index);
    view.setUint8(at + microOp.scale, fields.scale);
    view.setInt32(at + microOp.displacement, fields.displacement, true);
    view.setInt32(at + microOp.immediate, fields.immediate, true);
    page.microOps.push(at);
    return at;
  }

  /** Marks the lines of `length` bytes as code; the first mark on a page revokes write entries. */
  #watch(host: number, length: number): void {
    const number = this.#pageIndex(host);
    const lines = this.#map.codeLines + number * 8;
    const firstLine = (host & 0xfff) >>> 6;
    const lastLine = Math.min(((host & 0xfff) + length - 1) >>> 6, 63);
    for (let line = firstLine; line <= lastLine; line += 1) {
      const at = lines + (line >>> 3);
      this.#bytes[at] = (this.#bytes[at] ?? 0) | (1 << (line & 7));
    }
    if (this.#bytes[this.#map.codePages + number] === 0) {
      this.#bytes[this.#map.codePages + number] = 1;
      for (let set = 0; set < tlbSetCount; set += 1) {
        emptyTlbArray(this.#bytes, tlbBase + set * tlbSetBytes + tlbArrayBytes);
      }
    }
  }

  /**
   * Micro-ops of the instruction that starts at the end of `page` and goes on at host address
   * `second`; 0 when it cannot be decoded from both (then more than two pages would be needed).
   */
  crossing(page: CodePage, offset: number, second: number): number {
    const known = page.crossing;
    if (known !== undefined && known.valid && known.offset === offset && known.second === second) {
      return known.start;
    }
    const head = this.#bytes.slice(page.host + offset, page.host + 4096);
    const bytes = new Uint8Array(instructionBytesMax);
    bytes.set(head);
    bytes.set(this.#bytes.subarray(second, second + bytes.length - head.length), head.length);
    const result = decode(bytes, this.#decodeMode(page.mode));
    this.#watch(page.host + offset, head.length);
    const length = result.status === "ok" ? result.instruction.length : instructionBytesMax;
    this.#watch(second, Math.max(length - head.length, 1));
    this.#flagWriters.length = 0;
    const start = this.#nextMicroOp;
    const ended = this.#emitInstruction(page, result, offset);
    if (!ended && result.status === "ok") {
      this.#emit(page, leavePage(offset + result.instruction.length), offset, 0);
    }
    const crossing: Crossing = { offset, second, start, valid: true };
    page.crossing = crossing;
    const number = this.#pageIndex(second);
    this.#crossings.set(number, [...this.#crossings.get(number) ?? [], crossing]);
    return start;
  }

  /** Micro-ops for one instruction only, then a return to the run loop (single-stepping). They
   * stand in a place of their own, which the next call uses again. */
  single(page: CodePage, offset: number, bytes: Uint8Array): number {
    const result = decode(bytes, this.#decodeMode(page.mode));
    this.#flagWriters.length = 0;
    const resume = this.#nextMicroOp;
    const start = this.#map.microOpsEnd - singleBytes;
    this.#nextMicroOp = start;
    for (let at = start; at < this.#map.microOpsEnd; at += microOp.bytes) {
      this.records.delete(at);
    }
    const known = page.microOps.length;
    this.#emitInstruction(page, result, offset);
    const length = result.status === "ok" ? result.instruction.length : 1;
    this.#emit(page, leavePage(offset + length), offset, 0);
    page.microOps.length = known;
    this.#nextMicroOp = resume;
    this.lastDecoded = result.status === "ok" ? result.instruction : undefined;
    return start;
  }

  /** The bytes hold a whole instruction, or one that is none. */
  decodes(bytes: Uint8Array, mode: CodeMode): boolean {
    return decode(bytes, this.#decodeMode(mode)).status !== "short";
  }

  /** A store is about to change (or a device has changed) `length` bytes of RAM at `host`. */
  invalidate(host: number, length: number): void {
    const last = this.#pageIndex(host + length - 1);
    for (let number = this.#pageIndex(host); number <= last; number += 1) {
      if (this.#bytes[this.#map.codePages + number] !== 0) {
        this.#dropPage(number);
      }
    }
  }

  #dropPage(number: number): void {
    for (const page of this.#pages.get(number) ?? []) {
      this.onDrop(page);
      this.#byTable.delete(page.table);
      for (const at of page.microOps) {
        // Only the operation: the micro-op in hand may still need its fields.
        this.#view.setUint16(at, builtin.stale, true);
        this.records.delete(at);
      }
      this.#bytes.fill(0, page.table, page.table + indexTableBytes);
      if (page.crossing !== undefined) {
        page.crossing.valid = false;
      }
      this.#freeTables.push(page.table);
    }
    this.#pages.delete(number);
    for (const crossing of this.#crossings.get(number) ?? []) {
      crossing.valid = false;
      this.#view.setUint16(crossing.start, builtin.stale, true);
    }
    this.#crossings.delete(number);
    this.#bytes[this.#map.codePages + number] = 0;
    const lines = this.#map.codeLines + number * 8;
    this.#bytes.fill(0, lines, lines + 8);
    this.#flushInstructionTlb();
    this.invalidations += 1;
  }
}

const helperFields: MicroOpFields = {
  operation: builtin.helper, first: 0, base: 0, index: 0, scale: 0, displacement: 0, immediate: 0,
};

function goto(offset: number): MicroOpFields {
  return { ...helperFields, operation: builtin.goto, displacement: offset * 4 };
}

function leavePage(offset: number): MicroOpFields {
  return { ...helperFields, operation: builtin.leavePage, displacement: offset };
}
