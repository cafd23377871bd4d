/**
 * How vector rules run behind VEX (SDM 1 §14.1, 2A §2.3): the old destination is an operand of its
 * own, 256 bits are two halves to which the same rule applies, and what is not written becomes
 * zero. All is read before anything is written, since a half may fault or go to the helper.
 */
import { i32, onLane, op, shuffle, type Node } from "../wasm/code.ts";
import type { Operand, SemanticsBuilder } from "./builder.ts";
import {
  lowOf, spread, zero, type SimdOptions, type VectorOperand, type VectorRule,
} from "./simd.ts";
import { clean, Value } from "./value.ts";

type Half = 0 | 1;

/** The lower or upper 128 bits of a vector register. */
function halfOf(register: Operand, half: Half): Operand {
  return { ...register, file: half === 0 ? "xmm" : "ymm", width: 128 };
}

const isVector = (operand: Operand) => operand.kind === "memory" || operand.file === "xmm";

/** A source as each half of the instruction sees it. */
type Source = (half: Half) => VectorOperand;

function fetchSource(
  x: SemanticsBuilder, operand: Operand, isWide: boolean, isShared: boolean,
): Source {
  if (!isWide || !isVector(operand)) {
    return () => operand;
  }
  const part = (value: Value, half: Half): VectorOperand =>
    ({ ...operand, width: value.width, part: { value, half } });
  if (operand.width === 256) {
    const halves = x.readWide(operand);
    return (half) => part(halves[half], half);
  }
  const value = x.read(operand);
  return (half) => part(half === 0 || isShared ? value : upperPart(value), half);
}

/** What the upper half of the result comes from. */
function upperPart(value: Value): Value {
  const all = spread(value);
  const bytes = value.width / 16;
  const order = Array.from({ length: 16 }, (_, index) => (index + bytes) % 16);
  return new Value(shuffle(order, all, all), 128, true);
}

/** Keeps what a rule writes until all halves are done. */
class Sink {
  readonly #x: SemanticsBuilder;
  readonly #old: Node | undefined;
  readonly #isVector: boolean;
  #local = -1;

  constructor(x: SemanticsBuilder, old: Node | undefined, target: Operand) {
    this.#x = x;
    this.#old = old;
    this.#isVector = target.kind === "memory" || target.file === "xmm";
  }

  put(value: Value): void {
    const { code } = this.#x;
    const node = this.#isVector ? this.#filled(value) : value.node;
    if (this.#local < 0) {
      this.#local = code.local(node.type);
    }
    code.set(this.#local, node);
  }

  /** All 128 bits: above what the rule has written stands the first source. */
  #filled(value: Value): Node {
    if (value.width === 128 || this.#old === undefined) {
      return spread(value);
    }
    return value.width === 64
      ? onLane("i64x2.replace_lane", 0, this.#old, value.node)
      : onLane("i32x4.replace_lane", 0, this.#old, clean(value));
  }

  /** Undefined where nothing was written. */
  get result(): Node | undefined {
    return this.#local < 0 ? undefined : this.#x.code.get(this.#local);
  }
}

/** What stands for the destination while one half is computed. */
function targetPart(target: Operand, half: Half, sink: Sink, before: Node | undefined):
VectorOperand {
  const width = target.width === 256 ? 128 : target.width;
  const narrow: VectorOperand = target.file === "gpr" ? { ...target, width }
    : { ...halfOf(target, half), width };
  const put = (value: Value) => sink.put(value);
  return { ...narrow, part: before === undefined ? { half, put }
    : { half, put, value: lowOf(before, narrow.width) } };
}

/** Runs `run` for each half. With one operand more than the rule has, the second is the old
 * destination. */
export function runBehindVex(
  x: SemanticsBuilder, run: VectorRule, operands: readonly Operand[], options: SimdOptions,
): void {
  const [target, ...rest] = operands;
  if (target === undefined) {
    return;
  }
  const old = options.accumulates === true ? target
    : operands.length > run.length - 1 ? rest.shift() : undefined;
  const isWide = operands.some(({ width }) => width === 256);
  if (!isWide && target.file === "gpr") {
    run(x, ...operands); // A general register, or memory: nothing is above what is written.
    return;
  }
  const sources = rest.map((operand) =>
    fetchSource(x, operand, isWide, options.sharedSource ?? false));
  const halves: readonly Half[] = isWide ? [0, 1] : [0];
  const before = halves.map((half) => old === undefined ? undefined
    : x.bind(x.read(halfOf(old, half))).node);
  const results = halves.map((half) => {
    const sink = new Sink(x, before[half], target);
    run(x, targetPart(target, half, sink, before[half]), ...sources.map((source) => source(half)));
    return sink.result;
  });
  store(x, target, results, options);
}

function store(
  x: SemanticsBuilder, target: Operand, results: readonly (Node | undefined)[],
  options: SimdOptions,
): void {
  const [low, high] = results;
  if (low === undefined) {
    return; // A comparison: only flags are written.
  }
  const vector = (node: Node) => new Value(node, 128, true);
  if (target.kind === "memory" && target.width === 256) {
    x.writeWide(target, vector(low), vector(high ?? zero()));
  } else if (target.kind === "memory") {
    x.write(target, vector(high === undefined ? low : joined(low, high)));
  } else if (target.file === "gpr") {
    const upper = op("i32.shl", high ?? i32(0), i32(options.maskBits ?? 0));
    x.write(target, new Value(op("i32.or", low, upper), 32, true));
  } else if (target.width === 256) {
    x.writeWide(target, vector(low), vector(high ?? zero()));
  } else {
    // Two halves of one narrower result, or all of it.
    x.writeWide(target, vector(high === undefined ? low : joined(low, high)), vector(zero()));
  }
}

const lowHalves = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23];
const joined = (low: Node, high: Node) => shuffle(lowHalves, low, high);
