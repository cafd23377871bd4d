/** A region of guest code as one WebAssembly function. */
import { defined } from "../../base/assert.ts";
import { regionExit } from "../interpreter/enter.ts";
import type { CaseDescription } from "../interpreter/forms.ts";
import type { FlagEffect } from "../isa/flags.ts";
import { itlbBytes, state } from "../layout.ts";
import type { MmuFunctions } from "../tier/mmu.ts";
import { i32, i64, load, op, type Code, type Label, type Node } from "../wasm/code.ts";
import { RegionBuilder } from "./builder.ts";
import { pageOf, type Region, type RegionBlock, type RegionInstruction } from "./discover.ts";
import { RegionFunction } from "./function.ts";
import { structureOf, type FlowStructure } from "./structure.ts";

/** What semantics do, learnt once for each case. */
export interface CaseStudy {
  readonly flags: FlagEffect;
  /** The memory operand is written. */
  readonly modifies: boolean;
  /** It may fault, or leave for the interpreter. */
  readonly traps: boolean;
}

export interface CompileContext {
  readonly mmu: MmuFunctions;
  study(each: CaseDescription): CaseStudy;
}

/** More targets of one RET than this go through the interpreter's look-up. */
const returnSitesMax = 8;

class RegionCompiler {
  readonly #region: Region;
  readonly #context: CompileContext;
  readonly #function: RegionFunction;
  readonly #code: Code;
  readonly #blocks: readonly RegionBlock[];
  readonly #numbers = new Map<number, number>();
  readonly #structure: FlowStructure;
  /** Blocks whose flags at the start somebody may look at. */
  readonly #flagsLive: boolean[];
  readonly #loops: (Label | undefined)[] = [];
  readonly #labels: (Label | undefined)[] = [];
  readonly #entry: number;
  #dispatch: Label = { depth: -1 };

  constructor(region: Region, context: CompileContext, code: Code) {
    this.#region = region;
    this.#context = context;
    this.#code = code;
    this.#function = new RegionFunction(code, context.mmu);
    this.#entry = this.#function.entry;
    this.#blocks = [...region.blocks.values()];
    for (const [number, block] of this.#blocks.entries()) {
      this.#numbers.set(block.place, number);
    }
    const successors = this.#blocks.map((block) => this.#successors(block));
    this.#structure = structureOf({
      successors, entries: region.entries.map((place) => this.#number(place)),
    });
    this.#flagsLive = this.#liveFlags(successors);
  }

  #number(place: number): number {
    return defined(this.#numbers.get(place), "a block of the region");
  }

  /** Places where a block may go on inside the region. */
  #targets(block: RegionBlock): number[] {
    const last = block.instructions.at(-1);
    const targets: number[] = [];
    const jumps = last?.flow === "conditional" || last?.flow === "jump" || last?.flow === "call";
    if (last !== undefined && jumps) {
      targets.push(last.target);
    }
    const falls = last?.flow === "next" || last?.flow === "conditional";
    if (falls && block.next !== undefined && !block.interprets) {
      targets.push(block.next);
    }
    if (last?.flow === "return") {
      targets.push(...this.#returnSites(block));
    }
    return targets;
  }

  #returnSites(block: RegionBlock): readonly number[] {
    const sites = this.#region.returns.get(block.place) ?? [];
    return sites.length <= returnSitesMax ? sites : [];
  }

  #successors(block: RegionBlock): number[] {
    return this.#targets(block).flatMap((place) => this.#numbers.get(place) ?? []);
  }

  #liveFlags(successors: readonly (readonly number[])[]): boolean[] {
    const outside = this.#blocks.map((block) => {
      const last = block.instructions.at(-1);
      const flow = last?.flow;
      return block.interprets || flow === "indirect" || flow === "indirectCall"
        || flow === "return"
        || this.#targets(block).some((place) => !this.#numbers.has(place));
    });
    const effects = this.#blocks.map((block) => this.#effectOf(block));
    const live = this.#blocks.map(() => false);
    for (let changed = true; changed;) {
      changed = false;
      for (let number = live.length - 1; number >= 0; number -= 1) {
        const after = outside[number] === true
          || (successors[number] ?? []).some((next) => live[next] === true);
        const now = effects[number] ?? after;
        changed ||= now !== live[number];
        live[number] = now;
      }
    }
    return live;
  }

  /** Whether the flags before a block matter to it; undefined when that is up to what follows. */
  #effectOf(block: RegionBlock): boolean | undefined {
    for (const { each } of block.instructions) {
      const { flags, traps } = this.#context.study(each);
      if (flags.reads || traps) {
        return true;
      }
      if (flags.kills) {
        return false;
      }
    }
    return undefined;
  }

  compile(): ReadonlyMap<number, number> {
    const code = this.#code;
    const { roots } = this.#structure;
    this.#function.build(() => {
      code.loop((dispatch) => {
        this.#dispatch = dispatch;
        code.dispatch(code.get(this.#entry), roots.length, (position, all) => {
          for (const [index, node] of roots.entries()) {
            this.#labels[node] = all[index];
          }
          this.#tree(defined(roots[position], "a root"));
        });
      });
      code.unreachable();
    });
    const entries = new Map<number, number>();
    for (const place of this.#region.entries) {
      entries.set(place, roots.indexOf(this.#number(place)));
    }
    return entries;
  }

  #tree(node: number): void {
    const code = this.#code;
    if (this.#structure.isLoop[node] === true) {
      this.#function.pending = undefined;
      code.loop((label) => {
        this.#loops[node] = label;
        this.#within(node, this.#structure.merges[node] ?? []);
      });
    } else {
      this.#within(node, this.#structure.merges[node] ?? []);
    }
  }

  /** The node inside blocks whose ends are the merges below it. */
  #within(node: number, merges: readonly number[]): void {
    const [merge, ...others] = merges;
    if (merge === undefined) {
      this.#block(defined(this.#blocks[node], "a block"), node);
      return;
    }
    const inherited = this.#function.pending;
    this.#code.block((label) => {
      this.#labels[merge] = label;
      this.#within(node, others);
    });
    this.#function.pending = undefined;
    this.#tree(merge);
    this.#function.pending = inherited;
  }

  #block(block: RegionBlock, node: number): void {
    const code = this.#code;
    const region = this.#function;
    const { instructions } = block;
    region.spend(instructions.length);
    for (let index = 0; index < instructions.length;) {
      const { pending } = region;
      region.withTraps(() => {
        for (; index < instructions.length && region.pending === pending; index += 1) {
          const instruction = defined(instructions[index], "an instruction");
          const unspent = instructions.length - index;
          code.scope(() => this.#instruction(block, node, instruction, unspent));
        }
      });
    }
    const last = defined(instructions.at(-1), "an instruction");
    const { next } = block;
    if (next !== undefined && (last.flow === "next" || last.flow === "conditional")) {
      if (block.interprets) {
        region.leave(regionExit.interpret, region.rip(next));
      } else {
        this.#edge(node, next);
      }
    }
    this.#function.forgetFlags();
  }

  #instruction(block: RegionBlock, node: number, at: RegionInstruction, unspent: number): void {
    const { instruction, each, place } = at;
    const builder = new RegionBuilder(this.#function, instruction, each, {
      place, unspent,
      branch: () => this.#edge(node, at.target),
      jump: (target) => this.#jump(block, node, target),
    }, this.#context.study(each).modifies);
    builder.run();
  }

  /** A jump to a computed RIP: to a return site of the region, or out. */
  #jump(block: RegionBlock, node: number, target: Node): void {
    const code = this.#code;
    const region = this.#function;
    const rip = code.bind(target);
    const last = block.instructions.at(-1);
    const sites = last?.flow === "return" ? this.#returnSites(block) : [];
    for (const site of sites) {
      code.if(op("i64.eq", rip, region.rip(site)), () => this.#edge(node, site));
    }
    region.leave(regionExit.goOn, rip);
  }

  /** Goes on at a place. */
  #edge(node: number, place: number): void {
    const region = this.#function;
    const next = this.#numbers.get(place);
    const from = defined(this.#blocks[node], "a block");
    if (next === undefined) {
      region.leave(regionExit.goOn, region.rip(place));
      return;
    }
    const to = defined(this.#blocks[next], "a block");
    if (to.page !== from.page) {
      this.#checkPage(to);
    }
    const { pending } = region;
    const rank = (each: number) => this.#structure.rank[each] ?? -1;
    const goesBack = rank(next) <= rank(node);
    const label = this.#labels[next];
    if (!goesBack && label === undefined) {
      // Written in place; locals of the flags stay those of the block above.
      region.pending = pending && { ...pending, locals: [] };
      if (this.#structure.isLoop[next] === true) {
        this.#settleFor(next);
      }
      this.#tree(next);
    } else {
      this.#settleFor(next);
      region.pending = undefined;
      if (goesBack) {
        this.#goBack(node, next);
      } else {
        this.#code.br(defined(label, "a merge has a label"));
      }
    }
    region.pending = pending;
  }

  #settleFor(next: number): void {
    if (this.#flagsLive[next] === true) {
      this.#function.settleFlags(false);
    }
  }

  /** Goes round, unless the time slice is over or somebody wants the vCPU's attention. */
  #goBack(node: number, next: number): void {
    const code = this.#code;
    const region = this.#function;
    const goOn = op("i32.gt_s", code.get(region.budget), load("i32.load", i32(0), state.poll));
    if (this.#structure.dominates(next, node)) {
      code.br(defined(this.#loops[next], "a loop has a label"), goOn, true);
    } else {
      code.if(goOn, () => {
        code.set(this.#entry, i32(this.#structure.roots.indexOf(next)));
        code.br(this.#dispatch);
      }, undefined, true);
    }
    region.leave(regionExit.goOn, region.rip(defined(this.#blocks[next], "a block").place));
  }

  /** Leaves for a block in another page unless that page is still the one that was compiled. */
  #checkPage(to: RegionBlock): void {
    const code = this.#code;
    const region = this.#function;
    const linear = code.bind(region.rip(pageOf(to.place)));
    const slot = op("i32.add", op("i32.and", op("i32.wrap_i64",
      op("i64.shr_u", linear, i64(8))), i32(itlbBytes - 16)), load("i32.load", i32(0), state.itlb));
    const bound = code.bind(slot);
    const same = op("i32.and", op("i64.eq", load("i64.load", bound, 0), linear),
      op("i32.eq", load("i32.load", bound, 8), i32(to.page.table)));
    code.if(same, () => {}, () => region.leave(regionExit.goOn, region.rip(to.place)), true);
  }
}

/**
 * Builds a function (entry number, RIP of the region's first page) → `regionExit`.
 * @returns the entry number of each place that is entered from outside.
 */
export function compileRegion(region: Region, context: CompileContext, code: Code):
ReadonlyMap<number, number> {
  return new RegionCompiler(region, context, code).compile();
}
