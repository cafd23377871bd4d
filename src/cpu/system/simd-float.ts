/**
 * SSE floating-point instructions in exact software: what the generated code hands over when a
 * result is special, inexact for the first time, or MXCSR is not as usual (SDM 1 §11.5).
 */
import type { Instruction } from "../decoder/instruction.ts";
import { reciprocal32, reciprocalRoot32 } from "../float/approximate.ts";
import { roundingOf, sseOperation } from "../float/sse.ts";
import { arithmeticFlags, state } from "../layout.ts";
import { x87Of } from "./fpu.ts";
import type { Helper } from "./helpers.ts";
import { operandOf } from "./operands.ts";
import {
  finishFloat, immediateOf, isWide, readLanes, requireVectors, resultOf, sourcesOf, sse, usesMmx,
  writeLanes,
} from "./simd-operands.ts";

/** Both operands, and the result, which starts as a copy of the destination. */
interface Work {
  readonly a: DataView;
  readonly b: DataView;
  readonly result: DataView;
  readonly immediate: number;
  /** Bits of the destination that are written. */
  readonly width: number;
  /** How many times 128 bits the widest operand has. */
  readonly halves: 1 | 2;
}

type Compute = (work: Work) => void;

/** An instruction with vector operands; `blank` starts from zeros. */
function vectors(compute: Compute, blank = false): Helper {
  return (cpu, instruction) => {
    requireVectors(cpu, instruction);
    const { first, second } = sourcesOf(instruction);
    const b = readLanes(cpu, instruction, second), a = readLanes(cpu, instruction, first);
    const result = blank ? new DataView(new ArrayBuffer(32)) : resultOf(cpu, instruction);
    const target = operandOf(instruction, 0);
    const width = target.kind === "register" ? target.width : 0;
    sse.begin(cpu.u32(state.mxcsr));
    const halves = isWide(instruction) ? 2 : 1;
    compute({ a, b, result, width, halves, immediate: immediateOf(instruction) });
    finishFloat(cpu);
    writeLanes(cpu, instruction, 0, result);
    if (usesMmx(instruction)) {
      x87Of(cpu).enterMmx();
    }
  };
}

type Lane32 = (a: number, b: number, immediate: number) => number;
type Lane64 = (a: bigint, b: bigint, immediate: number) => bigint;

const lanes32 = (lane: Lane32): Compute => ({ a, b, result, width, immediate }) => {
  for (let at = 0; at < width / 8; at += 4) {
    result.setUint32(at, lane(a.getUint32(at, true), b.getUint32(at, true), immediate), true);
  }
};
const lanes64 = (lane: Lane64): Compute => ({ a, b, result, width, immediate }) => {
  for (let at = 0; at < width / 8; at += 8) {
    result.setBigUint64(at,
      lane(a.getBigUint64(at, true), b.getBigUint64(at, true), immediate), true);
  }
};

/** The four forms of an instruction, from its two kinds of lanes. */
function four(mnemonic: string, single: Lane32, double: Lane64): [string, Helper][] {
  return [
    [`${mnemonic}ps`, vectors(lanes32(single))], [`${mnemonic}ss`, vectors(lanes32(single))],
    [`${mnemonic}pd`, vectors(lanes64(double))], [`${mnemonic}sd`, vectors(lanes64(double))],
  ];
}

const arithmetic = ([
  ["add", sseOperation.add], ["sub", sseOperation.subtract], ["mul", sseOperation.multiply],
  ["div", sseOperation.divide], ["min", sseOperation.minimum], ["max", sseOperation.maximum],
] as const).flatMap(([mnemonic, operation]) => four(mnemonic,
  (a, b) => sse.binary32(operation, a, b), (a, b) => sse.binary64(operation, a, b)));

const ones64 = 0xffff_ffff_ffff_ffffn;
const lanewise: [string, Helper][] = [
  ...arithmetic,
  ...four("sqrt", (_a, b) => sse.squareRoot32(b), (_a, b) => sse.squareRoot64(b)),
  ...([["cmp", 7], ["vcmp", 31]] as const).flatMap(([mnemonic, mask]) => four(mnemonic,
    (a, b, predicate) => sse.compare32(predicate & mask, a, b) ? 0xffff_ffff : 0,
    (a, b, predicate) => sse.compare64(predicate & mask, a, b) ? ones64 : 0n)),
  ...four("round", (_a, b, immediate) => sse.round32(b, immediate),
    (_a, b, immediate) => sse.round64(b, immediate)),
  ["rcpps", vectors(lanes32((_a, b) => reciprocal32(b)))],
  ["rcpss", vectors(lanes32((_a, b) => reciprocal32(b)))],
  ["rsqrtps", vectors(lanes32((_a, b) => reciprocalRoot32(b)))],
  ["rsqrtss", vectors(lanes32((_a, b) => reciprocalRoot32(b)))],
];

// Across lanes of 128 bits each.

function byHalves(compute: Compute): Helper {
  return vectors((work) => {
    for (let half = 0; half < work.halves; half += 1) {
      const part = (view: DataView) => new DataView(view.buffer, half * 16, 16);
      compute({ ...work, a: part(work.a), b: part(work.b), result: part(work.result) });
    }
  });
}

const single = (view: DataView, lane: number) => view.getUint32(lane * 4, true);
const double = (view: DataView, lane: number) => view.getBigUint64(lane * 8, true);

function horizontal32(operation: number): Compute {
  return ({ a, b, result }) => {
    for (let lane = 0; lane < 4; lane += 1) {
      const from = lane < 2 ? a : b, pair = (lane & 1) * 2;
      const value = sse.binary32(operation, single(from, pair), single(from, pair + 1));
      result.setUint32(lane * 4, value, true);
    }
  };
}

function horizontal64(operation: number): Compute {
  return ({ a, b, result }) => {
    for (const [lane, from] of [a, b].entries()) {
      result.setBigUint64(lane * 8, sse.binary64(operation, double(from, 0), double(from, 1)),
        true);
    }
  };
}

const alternating32: Compute = ({ a, b, result }) => {
  for (let lane = 0; lane < 4; lane += 1) {
    const operation = (lane & 1) === 0 ? sseOperation.subtract : sseOperation.add;
    result.setUint32(lane * 4, sse.binary32(operation, single(a, lane), single(b, lane)), true);
  }
};
const alternating64: Compute = ({ a, b, result }) => {
  for (let lane = 0; lane < 2; lane += 1) {
    const operation = lane === 0 ? sseOperation.subtract : sseOperation.add;
    result.setBigUint64(lane * 8, sse.binary64(operation, double(a, lane), double(b, lane)), true);
  }
};

const product32: Compute = ({ a, b, result, immediate }) => {
  const chosen = (lane: number) => (immediate >> (4 + lane) & 1) === 0
    ? 0 : sse.binary32(sseOperation.multiply, single(a, lane), single(b, lane));
  const [p = 0, q = 0, r = 0, s = 0] = [0, 1, 2, 3].map(chosen);
  const low = sse.binary32(sseOperation.add, p, q), high = sse.binary32(sseOperation.add, r, s);
  const sum = sse.binary32(sseOperation.add, low, high);
  for (let lane = 0; lane < 4; lane += 1) {
    result.setUint32(lane * 4, (immediate >> lane & 1) === 0 ? 0 : sum, true);
  }
};
const product64: Compute = ({ a, b, result, immediate }) => {
  const chosen = (lane: number) => (immediate >> (4 + lane) & 1) === 0
    ? 0n : sse.binary64(sseOperation.multiply, double(a, lane), double(b, lane));
  const low = chosen(0), high = chosen(1);
  const sum = sse.binary64(sseOperation.add, low, high);
  for (let lane = 0; lane < 2; lane += 1) {
    result.setBigUint64(lane * 8, (immediate >> lane & 1) === 0 ? 0n : sum, true);
  }
};

const across: [string, Helper][] = [
  ["haddps", byHalves(horizontal32(sseOperation.add))],
  ["hsubps", byHalves(horizontal32(sseOperation.subtract))],
  ["haddpd", byHalves(horizontal64(sseOperation.add))],
  ["hsubpd", byHalves(horizontal64(sseOperation.subtract))],
  ["addsubps", byHalves(alternating32)], ["addsubpd", byHalves(alternating64)],
  ["dpps", byHalves(product32)], ["dppd", byHalves(product64)],
];

// Conversions.

const signed32 = (view: DataView, lane: number) => BigInt(view.getInt32(lane * 4, true));

/** Packed floats to integers of 32 bits; missing ones become zero. */
function toIntegers(mode: number, fromDouble: boolean, count: number): Helper {
  return vectors(({ b, result, halves }) => {
    for (let lane = 0; lane < count * halves; lane += 1) {
      const value = fromDouble ? sse.integerFrom64(double(b, lane), 32, mode)
        : sse.integerFrom32(single(b, lane), 32, mode);
      result.setInt32(lane * 4, Number(BigInt.asIntN(32, value)), true);
    }
  }, true);
}

function fromIntegers32(count: number): Helper {
  return vectors(({ b, result, halves }) => {
    for (let lane = 0; lane < count * halves; lane += 1) {
      result.setUint32(lane * 4, sse.fromInteger32(signed32(b, lane)), true);
    }
  });
}

function narrow(count: number, blank: boolean): Helper {
  return vectors(({ b, result, halves }) => {
    for (let lane = 0; lane < count * halves; lane += 1) {
      result.setUint32(lane * 4, sse.narrow(double(b, lane)), true);
    }
  }, blank);
}

function widen(count: number): Helper {
  return vectors(({ b, result, halves }) => {
    for (let lane = 0; lane < count * halves; lane += 1) {
      result.setBigUint64(lane * 8, sse.widen(single(b, lane)), true);
    }
  });
}

/** A scalar to a general register. */
function toRegister(fromDouble: boolean, mode: number): Helper {
  return (cpu, instruction) => {
    const target = targetRegister(instruction);
    requireVectors(cpu, instruction);
    const b = readLanes(cpu, instruction, 1);
    sse.begin(cpu.u32(state.mxcsr));
    const value = fromDouble ? sse.integerFrom64(double(b, 0), target.width, mode)
      : sse.integerFrom32(single(b, 0), target.width, mode);
    finishFloat(cpu);
    cpu.setGprSized(target.number, target.width, BigInt.asUintN(target.width, value));
  };
}

function targetRegister(instruction: Instruction): { number: number; width: 32 | 64 } {
  const operand = operandOf(instruction, 0);
  return operand.kind === "register"
    ? { number: operand.number, width: operand.width === 64 ? 64 : 32 } : { number: 0, width: 32 };
}

/** A general register, or memory, to a scalar. */
function fromRegister(toDouble: boolean): Helper {
  return (cpu, instruction) => {
    requireVectors(cpu, instruction);
    const { second } = sourcesOf(instruction);
    const source = operandOf(instruction, second);
    const width = source.kind === "far" ? 32 : source.width;
    const value = BigInt.asIntN(width, readLanes(cpu, instruction, second).getBigUint64(0, true));
    const result = resultOf(cpu, instruction);
    sse.begin(cpu.u32(state.mxcsr));
    if (toDouble) {
      result.setBigUint64(0, sse.fromInteger64(value), true);
    } else {
      result.setUint32(0, sse.fromInteger32(value), true);
    }
    finishFloat(cpu);
    writeLanes(cpu, instruction, 0, result);
  };
}

/** COMISS and its kin: the relation of two scalars as flags. */
function order(fromDouble: boolean, signalling: boolean): Helper {
  return (cpu, instruction) => {
    requireVectors(cpu, instruction);
    const b = readLanes(cpu, instruction, 1), a = readLanes(cpu, instruction, 0);
    sse.begin(cpu.u32(state.mxcsr));
    const flags = fromDouble ? sse.order64(double(a, 0), double(b, 0), signalling)
      : sse.order32(single(a, 0), single(b, 0), signalling);
    finishFloat(cpu);
    cpu.flags = (cpu.flags & ~arithmeticFlags) | flags;
  };
}

const { current, zero: truncated } = roundingOf;
const conversions: [string, Helper][] = [
  ["cvtsi2sd", fromRegister(true)], ["cvtsi2ss", fromRegister(false)],
  ["cvtsd2si", toRegister(true, current)], ["cvttsd2si", toRegister(true, truncated)],
  ["cvtss2si", toRegister(false, current)], ["cvttss2si", toRegister(false, truncated)],
  ["cvtss2sd", widen(1)], ["cvtps2pd", widen(2)],
  ["cvtsd2ss", narrow(1, false)], ["cvtpd2ps", narrow(2, true)],
  ["cvtdq2ps", fromIntegers32(4)], ["cvtpi2ps", fromIntegers32(2)],
  ["cvtps2dq", toIntegers(current, false, 4)], ["cvttps2dq", toIntegers(truncated, false, 4)],
  ["cvtpd2dq", toIntegers(current, true, 2)], ["cvttpd2dq", toIntegers(truncated, true, 2)],
  ["cvtps2pi", toIntegers(current, false, 2)], ["cvttps2pi", toIntegers(truncated, false, 2)],
  ["cvtpd2pi", toIntegers(current, true, 2)], ["cvttpd2pi", toIntegers(truncated, true, 2)],
  ["cvtpi2pd", vectors(({ b, result }) => {
    for (let lane = 0; lane < 2; lane += 1) {
      result.setFloat64(lane * 8, b.getInt32(lane * 4, true), true);
    }
  })],
  ["comiss", order(false, true)], ["ucomiss", order(false, false)],
  ["comisd", order(true, true)], ["ucomisd", order(true, false)],
];

export const simdFloatHelpers: readonly (readonly [string, Helper])[] = [
  ...lanewise, ...across, ...conversions,
];
