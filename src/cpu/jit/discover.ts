/**
 * Which guest code makes a region: the blocks reached from a hot place by branches, calls and
 * returns, as far as they have run. Places are offsets of RIP from the region's first page.
 */
import { defined } from "../../base/assert.ts";
import type { DecodeResult, Instruction } from "../decoder/instruction.ts";
import type { CodePage } from "../interpreter/code-cache.ts";
import type { CaseDescription } from "../interpreter/forms.ts";
import { caseOf } from "../interpreter/lower.ts";
import { semantics } from "../isa/table.ts";

/** Where the code of a region comes from. */
export interface CodeSource {
  /** The code page at a place, if the instruction TLB knows it. */
  pageAt(place: number): CodePage | undefined;
  /** "short" where the instruction goes on in the next page. */
  decode(page: CodePage, offset: number): DecodeResult;
  /** The interpreter has branched there often enough to make it worth compiling. */
  isWarm(page: CodePage, offset: number): boolean;
}

/** How control leaves an instruction. */
export type Flow =
  | "next" | "conditional" | "jump" | "call" | "return" | "indirect" | "indirectCall"
  /** The interpreter must do it. */
  | "interpret";

export interface RegionInstruction {
  readonly place: number;
  readonly instruction: Instruction;
  readonly each: CaseDescription;
  readonly flow: Flow;
  /** Of relative branches. */
  readonly target: number;
}

export interface RegionBlock {
  readonly place: number;
  readonly page: CodePage;
  readonly instructions: readonly RegionInstruction[];
  /** Where control goes by falling through, or by returning from a call at the end. */
  readonly next: number | undefined;
  /** The block ends because the interpreter must do what is at `next`. */
  readonly interprets: boolean;
}

export interface Region {
  readonly blocks: ReadonlyMap<number, RegionBlock>;
  /** Entered from outside, the first one first. */
  readonly entries: readonly number[];
  /** Where the RET at the end of a block may go to, by block. */
  readonly returns: ReadonlyMap<number, readonly number[]>;
  readonly instructionCount: number;
}

export interface RegionLimits {
  readonly instructions: number;
  /** Calls within calls that are followed. */
  readonly depth: number;
}

const flows: Readonly<Record<string, Flow>> = {
  "jmp": "jump", "call": "call", "ret": "return", "ret.pop": "return",
  "jmp.indirect": "indirect", "call.indirect": "indirectCall",
};
const pageBytes = 4096;
export const pageOf = (place: number) => Math.floor(place / pageBytes) * pageBytes;

function flowOf(instruction: Instruction): Flow {
  const { mnemonic } = instruction.row;
  const which = semantics.get(mnemonic);
  if (which === undefined || which.helper) {
    return "interpret";
  }
  return flows[mnemonic] ?? (which.branch ? "conditional" : "next");
}

interface Scanned {
  readonly instruction: RegionInstruction | undefined;
  readonly page: CodePage;
  /** The place behind it. */
  readonly end: number;
}

interface Lead {
  readonly place: number;
  readonly depth: number;
}

class Discovery {
  readonly #source: CodeSource;
  readonly #limits: RegionLimits;
  readonly #scanned = new Map<number, Scanned>();
  readonly leaders = new Set<number>();
  readonly entries: number[] = [];
  readonly #waiting: Lead[] = [];
  /** Call targets that are part of the region. */
  readonly callees = new Set<number>();
  count = 0;

  constructor(source: CodeSource, limits: RegionLimits) {
    this.#source = source;
    this.#limits = limits;
  }

  scan(place: number): Scanned | undefined {
    const known = this.#scanned.get(place);
    if (known !== undefined) {
      return known;
    }
    const page = this.#source.pageAt(place);
    if (page === undefined) {
      return undefined;
    }
    const result = this.#source.decode(page, place - pageOf(place));
    const found: Scanned = result.status === "ok"
      ? { page, ...this.#describe(place, page, result.instruction) }
      : { page, instruction: undefined, end: place };
    this.#scanned.set(place, found);
    return found;
  }

  #describe(place: number, page: CodePage, instruction: Instruction):
  { instruction: RegionInstruction; end: number } {
    const end = place + instruction.length;
    const flow = flowOf(instruction);
    const [first] = instruction.operands;
    const target = first?.kind === "relative" ? end + Number(first.value) : end;
    const which = defined(semantics.get(instruction.row.mnemonic), instruction.row.mnemonic);
    const each = caseOf(instruction, which, page.mode, "out");
    return { instruction: { place, instruction, each, flow, target }, end };
  }

  start(place: number): void {
    this.entries.push(place);
    this.#follow(place, 0);
    for (let lead = this.#waiting.shift(); lead !== undefined; lead = this.#waiting.shift()) {
      this.#walk(lead);
    }
  }

  /** Branches to code that is in the region anyway, warm or not, find blocks of their own. */
  join(): void {
    for (const { instruction } of this.#scanned.values()) {
      const jumps = instruction?.flow === "conditional" || instruction?.flow === "jump";
      if (jumps && this.#scanned.has(instruction.target)) {
        this.leaders.add(instruction.target);
      }
    }
  }

  #follow(place: number, depth: number): void {
    if (!this.leaders.has(place)) {
      this.leaders.add(place);
      this.#waiting.push({ place, depth });
    }
  }

  #followWarm(place: number, depth: number): boolean {
    const page = this.#source.pageAt(place);
    if (page === undefined || page.mode.bits !== 64
      || !(this.leaders.has(place) || this.#source.isWarm(page, place - pageOf(place)))) {
      return false;
    }
    this.#follow(place, depth);
    return true;
  }

  #enter(place: number): void {
    if (!this.entries.includes(place)) {
      this.entries.push(place);
    }
  }

  /** Scans straight on from a leader. */
  #walk({ place, depth }: Lead): void {
    const seen = this.#scanned.has(place);
    for (let at = place; this.count < this.#limits.instructions;) {
      const known = at !== place && this.#scanned.has(at);
      const found = this.scan(at);
      if (found?.instruction === undefined || known) {
        return;
      }
      this.count += seen ? 0 : 1;
      const { flow, target } = found.instruction;
      if (flow === "interpret") {
        this.#afterInterpreted(found, depth);
        return;
      }
      if (flow !== "next") {
        this.#flowOn(flow, target, found.end, depth);
        return;
      }
      at = found.end;
    }
  }

  /** What follows an instruction for the interpreter is entered from outside. */
  #afterInterpreted({ instruction, end }: Scanned, depth: number): void {
    const fallsThrough = !endsFlow.has(instruction?.instruction.row.mnemonic ?? "");
    if (fallsThrough && pageOf(end) === pageOf(end - 1)) {
      this.#enter(end);
      this.#follow(end, depth);
    }
  }

  #flowOn(flow: Flow, target: number, end: number, depth: number): void {
    if (flow === "conditional") {
      this.#follow(end, depth);
      this.#followWarm(target, depth);
    } else if (flow === "jump") {
      this.#followWarm(target, depth);
    } else if (flow === "call" || flow === "indirectCall") {
      const inside = flow === "call" && depth < this.#limits.depth
        && this.#followWarm(target, depth + 1);
      if (inside) {
        this.callees.add(target);
      }
      this.#enter(end);
      this.#follow(end, depth);
    }
  }
}

/** After these nothing is reached by falling through. */
const endsFlow = new Set([
  "jmp.far", "ret.far", "iret", "sysret", "sysexit", "ud", "syscall", "sysenter", "hlt",
]);

function blockAt(place: number, found: Discovery): RegionBlock | undefined {
  const first = found.scan(place);
  if (first?.instruction === undefined || first.instruction.flow === "interpret") {
    return undefined;
  }
  const instructions: RegionInstruction[] = [];
  let at = place;
  for (;;) {
    const scanned = found.scan(at);
    const instruction = scanned?.instruction;
    const isNew = at !== place && found.leaders.has(at);
    const leavesPage = pageOf(at) !== pageOf(place);
    if (instruction === undefined || instruction.flow === "interpret" || isNew || leavesPage) {
      const interprets = !isNew && !leavesPage;
      return { place, page: first.page, instructions, next: at, interprets };
    }
    instructions.push(instruction);
    at += instruction.instruction.length;
    if (instruction.flow !== "next") {
      const goesOn = instruction.flow === "conditional" || instruction.flow === "call"
        || instruction.flow === "indirectCall";
      return { place, page: first.page, instructions, next: goesOn ? at : undefined,
        interprets: false };
    }
  }
}

/** Follows one function from its first block, over its calls: the blocks that end in RET. */
function returnsOf(callee: number, blocks: ReadonlyMap<number, RegionBlock>): number[] {
  const found: number[] = [];
  const seen = new Set<number>([callee]);
  const waiting = [callee];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    const block = blocks.get(place);
    const last = block?.instructions.at(-1);
    if (last?.flow === "return") {
      found.push(place);
    }
    const jumps = last?.flow === "conditional" || last?.flow === "jump";
    for (const next of [block?.next, jumps ? last.target : undefined]) {
      if (next !== undefined && !seen.has(next)) {
        seen.add(next);
        waiting.push(next);
      }
    }
  }
  return found;
}

/** The region around a hot place; undefined when nothing can be compiled there. */
export function discover(source: CodeSource, place: number, limits: RegionLimits):
Region | undefined {
  const found = new Discovery(source, limits);
  found.start(place);
  found.join();
  const blocks = new Map<number, RegionBlock>();
  const waiting = [...found.leaders];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const block = blockAt(next, found);
    if (block !== undefined && block.instructions.length > 0) {
      blocks.set(next, block);
    }
  }
  if (!blocks.has(place)) {
    return undefined;
  }
  const returns = new Map<number, number[]>();
  for (const callee of found.callees) {
    const sites = [...blocks.values()].filter((block) => {
      const last = block.instructions.at(-1);
      return last?.flow === "call" && last.target === callee && block.next !== undefined
        && blocks.has(block.next);
    }).map((block) => defined(block.next, "a return site"));
    for (const block of returnsOf(callee, blocks)) {
      returns.set(block, [...new Set([...returns.get(block) ?? [], ...sites])]);
    }
  }
  return {
    blocks, entries: found.entries.filter((each) => blocks.has(each)), returns,
    instructionCount: found.count,
  };
}
