/**
 * The compiled regions of one vCPU: which there are, where the interpreter enters them, and when
 * they go. An entry is a micro-op whose operation is `enter`; the entry table beside the micro-ops
 * says which function that is, and which operation stood there before.
 */
import { defined } from "../../base/assert.ts";
import type { CodeCache, CodePage } from "../interpreter/code-cache.ts";
import type { CaseDescription } from "../interpreter/forms.ts";
import { builtin } from "../interpreter/builtin.ts";
import { rehearse } from "../interpreter/generate.ts";
import { itlbBytes, microOp, pollNow, regionEntry, state } from "../layout.ts";
import type { MemoryMap } from "../tier/memory-map.ts";
import type { MmuFunctions } from "../tier/mmu.ts";
import { anyMemory, ModuleBuilder } from "../wasm/module.ts";
import { compileRegion, type CaseStudy } from "./compile.ts";
import { discover, pageOf, type CodeSource, type Region, type RegionLimits } from "./discover.ts";

export interface RegionSetOptions {
  readonly memory: WebAssembly.Memory;
  readonly map: MemoryMap;
  readonly code: CodeCache;
  /** Functions of the interpreter's module that compiled code calls. */
  readonly exports: WebAssembly.Exports;
  readonly table: WebAssembly.Table;
  /** Branches to a place before it is compiled. */
  readonly threshold: number;
}

interface LiveRegion {
  readonly slot: number;
  readonly pages: ReadonlySet<CodePage>;
  /** Micro-ops that enter it. */
  readonly entries: number[];
  readonly bytes: number;
}

const limits: RegionLimits = { instructions: 400, depth: 2 };
/** Beyond this much WebAssembly all regions go, and what is hot is compiled anew. */
const codeBytesMax = 48 * 1024 * 1024;
/** Pages whose regions were dropped this often stay with the interpreter for a while. */
const dropsMax = 6;
/** After this many requests to compile something the count of drops is forgotten. */
const forgiveAfter = 2048;
/** A place has run often enough to join a region after this part of the threshold. */
const warmShare = 4;
const compiledCounter = 0xffff;

export class RegionSet {
  readonly #options: RegionSetOptions;
  readonly #view: DataView;
  readonly #studies = new Map<string, CaseStudy>();
  readonly #byPage = new Map<CodePage, Set<LiveRegion>>();
  readonly #live = new Set<LiveRegion>();
  readonly #freeSlots: number[] = [];
  #slots = 0;
  #codeBytes = 0;
  #requests = 0;
  readonly #drops = new Map<number, number>();
  /** Counters for `vmm.soft.stats`. */
  readonly counts = { compiled: 0, dropped: 0, instructions: 0, bytes: 0, milliseconds: 0 };

  constructor(options: RegionSetOptions) {
    this.#options = options;
    this.#view = new DataView(options.memory.buffer);
    this.#resetCounters();
    options.code.onDrop = (page) => this.#dropPage(page);
    options.code.onFlush = () => this.flush();
  }

  /** Told of every region: its module, and the guest code that it is made of. */
  onRegion: (module: Uint8Array, region: Region) => void = () => {};

  get liveCount(): number {
    return this.#live.size;
  }

  #resetCounters(): void {
    const { map, threshold } = this.#options;
    new Uint16Array(this.#options.memory.buffer, map.counters, map.counterCount).fill(threshold);
  }

  // Compiling.

  /** The code at this linear address of a code page is hot. */
  compile(linear: bigint): void {
    const { code } = this.#options;
    const start = performance.now();
    this.#requests += 1;
    if (this.#requests % forgiveAfter === 0) {
      this.#drops.clear();
    }
    if (!code.hasRoom() || this.#isFull()) {
      return;
    }
    const place = Number(linear & 0xfffn);
    const base = linear - BigInt(place);
    const source = this.#sourceAt(base);
    const page = source.pageAt(0);
    const micro = page === undefined ? 0 : code.microOpAt(page, place);
    if (page === undefined || micro === 0) {
      return;
    }
    this.#setCounter(micro, compiledCounter);
    const known = this.#view.getUint16(micro, true) === builtin.enter;
    if (known || page.mode.bits !== 64 || this.#isUnsteady(page)) {
      return;
    }
    const region = discover(source, place, limits);
    if (region !== undefined) {
      this.#install(region);
      this.counts.milliseconds += performance.now() - start;
    }
  }

  #isFull(): boolean {
    const full = this.#codeBytes > codeBytesMax
      || (this.#freeSlots.length === 0 && this.#slots === this.#options.table.length);
    if (full) {
      this.flush();
    }
    return full;
  }

  #isUnsteady(page: CodePage): boolean {
    return (this.#drops.get(page.host) ?? 0) >= dropsMax;
  }

  #sourceAt(base: bigint): CodeSource {
    const { code } = this.#options;
    return {
      pageAt: (place) => {
        const page = this.#pageAt(BigInt.asUintN(64, base + BigInt(pageOf(place))));
        return page === undefined || this.#isUnsteady(page) ? undefined : page;
      },
      decode: (page, offset) => code.decodeAt(page, offset),
      isWarm: (page, offset) => this.#isWarm(page, offset),
    };
  }

  #pageAt(linear: bigint): CodePage | undefined {
    const slot = this.#view.getUint32(state.itlb, true)
      + Number((linear >> 8n) & BigInt(itlbBytes - 16));
    return this.#view.getBigUint64(slot, true) === linear
      ? this.#options.code.pageOfTable(this.#view.getUint32(slot + 8, true)) : undefined;
  }

  #counterAt(micro: number): number {
    const { map } = this.#options;
    return map.counters + ((micro >>> 3) & (map.counterCount * 2 - 2));
  }

  #setCounter(micro: number, value: number): void {
    this.#view.setUint16(this.#counterAt(micro), value, true);
  }

  #isWarm(page: CodePage, offset: number): boolean {
    const micro = this.#view.getUint32(page.table + offset * 4, true);
    if (micro === 0) {
      return false;
    }
    const { threshold } = this.#options;
    const left = this.#view.getUint16(this.#counterAt(micro), true);
    return left > threshold || left <= threshold - Math.ceil(threshold / warmShare);
  }

  #study(each: CaseDescription): CaseStudy {
    const known = this.#studies.get(each.key);
    if (known !== undefined) {
      return known;
    }
    let traps = false;
    const { flagEffect, written } = rehearse(each, nowhere, () => { traps = true; });
    const modifies = [...written].some((operand) => operand.kind === "memory");
    const study = { flags: { ...flagEffect }, modifies, traps };
    this.#studies.set(each.key, study);
    return study;
  }

  #install(region: Region): void {
    const { table, memory, exports } = this.#options;
    const module = new ModuleBuilder(anyMemory);
    const mmu: MmuFunctions = {
      access: -1,
      accessCompiled: module.import("accessCompiled", ["i64", "i32"], ["i32"]),
      commit: module.import("commit", [], []),
      segment: module.import("segment", ["i32", "i64", "i32"], ["i64"]),
      walk: -1,
    };
    const { index, code } = module.declare(["i32", "i64"], ["i32"]);
    const entries = compileRegion(region, { mmu, study: (each) => this.#study(each) }, code);
    module.export("region", index);
    const bytes = module.finish();
    this.onRegion(bytes, region);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
      env: { ...exports, memory },
    });
    const slot = this.#freeSlots.pop() ?? this.#slots++;
    // Regions do not import the table: V8 visits every importer whenever an entry changes.
    table.set(slot, defined(instance.exports["region"], "the region's function"));
    const pages = new Set([...region.blocks.values()].map((block) => block.page));
    const live: LiveRegion = { slot, pages, entries: [], bytes: bytes.length };
    this.#remember(live);
    for (const [place, entry] of entries) {
      this.#enterAt(live, defined(region.blocks.get(place), "an entry").page, place, entry);
    }
    this.counts.compiled += 1;
    this.counts.instructions += region.instructionCount;
    this.counts.bytes += bytes.length;
  }

  #remember(live: LiveRegion): void {
    this.#live.add(live);
    this.#codeBytes += live.bytes;
    for (const page of live.pages) {
      const list = this.#byPage.get(page) ?? new Set();
      list.add(live);
      this.#byPage.set(page, list);
    }
  }

  #entryOf(micro: number): number {
    return micro + this.#options.map.regionEntries - this.#options.map.microOps;
  }

  /** Makes the micro-op at a place enter the region. */
  #enterAt(live: LiveRegion, page: CodePage, place: number, entry: number): void {
    const { code } = this.#options;
    if (!code.isRoomy) {
      return; // To make room would drop this region too.
    }
    const micro = code.microOpAt(page, place - pageOf(place));
    if (micro === 0) {
      return;
    }
    const operation = this.#view.getUint16(micro, true);
    if (operation === builtin.enter || operation === builtin.stale) {
      return;
    }
    const at = this.#entryOf(micro);
    this.#view.setUint16(at + regionEntry.operation, operation, true);
    this.#view.setUint16(at + regionEntry.entry, entry, true);
    this.#view.setUint32(at + regionEntry.slot, live.slot, true);
    this.#view.setInt32(at + regionEntry.pages, pageOf(place) / 4096, true);
    this.#view.setUint16(micro + microOp.operation, builtin.enter, true);
    this.#setCounter(micro, compiledCounter);
    live.entries.push(micro);
  }

  // Dropping.

  #dropPage(page: CodePage): void {
    const regions = this.#byPage.get(page);
    if (regions === undefined) {
      return;
    }
    this.#drops.set(page.host, (this.#drops.get(page.host) ?? 0) + 1);
    for (const live of regions) {
      this.#drop(live);
    }
  }

  #drop(live: LiveRegion): void {
    for (const micro of live.entries) {
      const at = this.#entryOf(micro);
      const isOurs = this.#view.getUint16(micro, true) === builtin.enter
        && this.#view.getUint32(at + regionEntry.slot, true) === live.slot;
      if (isOurs) {
        const operation = this.#view.getUint16(at + regionEntry.operation, true);
        this.#view.setUint16(micro, operation, true);
        this.#setCounter(micro, this.#options.threshold);
      }
    }
    for (const page of live.pages) {
      const list = this.#byPage.get(page);
      list?.delete(live);
      if (list?.size === 0) {
        this.#byPage.delete(page);
      }
    }
    this.#live.delete(live);
    this.#codeBytes -= live.bytes;
    this.#options.table.set(live.slot, null);
    this.#freeSlots.push(live.slot);
    this.counts.dropped += 1;
    // The function may be running: it looks at these before a store and in its loops.
    this.#view.setUint32(state.codeChanged, 1, true);
    this.#view.setInt32(state.poll, pollNow, true);
  }

  flush(): void {
    for (const live of this.#live) {
      this.#drop(live);
    }
    this.#resetCounters();
  }
}

const nowhere: MmuFunctions = {
  access: 0, accessCompiled: 0, commit: 0, walk: 0, segment: 0,
};
