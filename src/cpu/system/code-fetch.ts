/** Where code comes from: translation of RIP, the instruction TLB, and the end of CS. */
import { instructionBytesMax } from "../decoder/prefixes.ts";
import type { CodeCache, CodePage } from "../interpreter/code-cache.ts";
import {
  emptyTag, itlbBase, itlbBytes, pageFault, segmentIndex, tlbSetCount, tlbSets, vector,
} from "../layout.ts";
import type { Execution } from "./execution.ts";

export class CodeFetch {
  readonly #cpu: Execution;
  readonly #code: CodeCache;
  /** The page that holds the first byte beyond the limit of CS outside 64-bit mode, or -1. */
  #limitPage = -1n;

  constructor(cpu: Execution, code: CodeCache) {
    this.#cpu = cpu;
    this.#code = code;
  }

  /** Code that falls through into the page behind the limit of CS must be noticed: that page stays
   * out of the instruction TLB, and code in it runs an instruction at a time. */
  findLimitPage(): void {
    const limit = this.#cpu.segmentLimit(segmentIndex.cs);
    const end = this.#cpu.segmentBase(segmentIndex.cs) + BigInt(limit) + 1n;
    this.#limitPage = limit === 0xffff_ffff ? -1n : BigInt.asUintN(32, end) & ~0xfffn;
    for (let set = 0; set < tlbSetCount && this.#limitPage >= 0n; set += 1) {
      this.#cpu.setU64(this.#instructionSlot(set, this.#limitPage), BigInt(emptyTag));
    }
  }

  isBehindLimit(linear: bigint): boolean {
    return this.#cpu.codeBits !== 64 && (linear & ~0xfffn) === this.#limitPage;
  }

  /** The place of a page in a set of the instruction TLB. */
  #instructionSlot(set: number, page: bigint): number {
    return itlbBase + set * itlbBytes + Number((page >> 8n) & BigInt(itlbBytes - 16));
  }

  /** Translates RIP for a fetch. */
  place(): { linear: bigint; host: number } {
    let linear = this.#cpu.rip;
    if (this.#cpu.codeBits !== 64) {
      if (this.#cpu.rip > BigInt(this.#cpu.segmentLimit(segmentIndex.cs))) {
        this.#cpu.raise(vector.gp, 0);
      }
      linear = BigInt.asUintN(32, this.#cpu.rip + this.#cpu.segmentBase(segmentIndex.cs));
    }
    return { linear, host: this.#cpu.access.hostOf(this.translate(linear)) };
  }

  translate(linear: bigint): number {
    const user = this.#cpu.cpl === 3 ? pageFault.user : 0;
    return this.#cpu.access.translate(linear, pageFault.fetch | user);
  }

  enterTlb(linear: bigint, table: number): void {
    const page = linear & ~0xfffn;
    const set = this.#cpu.cpl === 3 ? tlbSets.user : tlbSets.supervisor;
    const slot = this.#instructionSlot(set, page);
    this.#cpu.setU64(slot, page);
    this.#cpu.setU32(slot + 8, table);
  }

  /**
   * The micro-op of an instruction that goes on in the next page; undefined where that page lies
   * behind the limit of CS, so that the instruction must run by itself.
   */
  crossing(page: CodePage, offset: number, linear: bigint): number | undefined {
    const next = BigInt.asUintN(this.#cpu.codeBits === 64 ? 64 : 32, (linear | 0xfffn) + 1n);
    if (this.isBehindLimit(next)) {
      return undefined;
    }
    const second = this.#cpu.access.hostOf(this.translate(next));
    return second === 0 ? this.#cpu.raise(vector.ud) : this.#code.crossing(page, offset, second);
  }

  requireInLimit(bytes: number): void {
    const last = this.#cpu.rip + BigInt(bytes - 1);
    if (this.#cpu.codeBits !== 64 && last > BigInt(this.#cpu.segmentLimit(segmentIndex.cs))) {
      this.#cpu.raise(vector.gp, 0);
    }
  }

  /** The instruction's bytes; those of a second page only where it can be read. */
  bytes(linear: bigint, host: number): Uint8Array {
    const cpu = this.#cpu;
    const inPage = Math.min(instructionBytesMax, 4096 - (host & 0xfff));
    const bytes = cpu.bytes.slice(host, host + inPage);
    if (inPage === instructionBytesMax || this.#code.decodes(bytes, cpu.codeMode)) {
      return bytes;
    }
    this.requireInLimit(inPage + 1);
    const second = cpu.access.hostOf(this.translate(linear + BigInt(inPage)));
    const both = new Uint8Array(instructionBytesMax).fill(0xff);
    both.set(bytes);
    if (second !== 0) {
      both.set(cpu.bytes.subarray(second, second + instructionBytesMax - inPage), inPage);
    }
    return both;
  }
}
