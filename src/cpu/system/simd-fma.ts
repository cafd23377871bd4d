/** FMA and F16C in exact software: what their semantics hand over (Intel SDM 1 §14.4, §14.5). */
import { fmaConstant } from "../isa/fma.ts";
import { state } from "../layout.ts";
import type { Helper } from "./helpers.ts";
import { operandOf } from "./operands.ts";
import {
  finishFloat, immediateOf, isWide, readLanes, requireVectors, resultOf, sse, writeRegister,
} from "./simd-operands.ts";

const { form213, form231, negateProduct, negateEven, negateOdd } = fmaConstant;

/** The operands in the order of a × b + c. */
function ordered(views: readonly [DataView, DataView, DataView], constant: number) {
  const [first, second, third] = views;
  if ((constant & form213) !== 0) {
    return { a: second, b: first, c: third };
  }
  return (constant & form231) !== 0 ? { a: second, b: third, c: first }
    : { a: first, b: third, c: second };
}

function fused(bytes: 4 | 8): Helper {
  return (cpu, instruction) => {
    requireVectors(cpu, instruction);
    const constant = immediateOf(instruction);
    const target = operandOf(instruction, 0);
    if (target.kind !== "register") {
      return;
    }
    const read = (index: number) => readLanes(cpu, instruction, index);
    const { a, b, c } = ordered([read(0), read(1), read(2)], constant);
    const result = resultOf(cpu, instruction, 0);
    sse.begin(cpu.u32(state.mxcsr));
    const negates = (constant & negateProduct) !== 0;
    for (let at = 0; at < target.width / 8; at += bytes) {
      const isOdd = (at / bytes) % 2 === 1;
      const subtracts = (constant & (isOdd ? negateOdd : negateEven)) !== 0;
      if (bytes === 4) {
        const [p, q, r] = [a, b, c].map((view) => view.getUint32(at, true));
        result.setUint32(at, sse.multiplyAdd32(p ?? 0, q ?? 0, r ?? 0, negates, subtracts), true);
      } else {
        const [p, q, r] = [a, b, c].map((view) => view.getBigUint64(at, true));
        result.setBigUint64(at,
          sse.multiplyAdd64(p ?? 0n, q ?? 0n, r ?? 0n, negates, subtracts), true);
      }
    }
    finishFloat(cpu);
    writeRegister(cpu, target.number, result, target.width === 256 ? 256 : 128);
  };
}

const fromHalves: Helper = (cpu, instruction) => {
  requireVectors(cpu, instruction);
  const source = readLanes(cpu, instruction, 1);
  const result = new DataView(new ArrayBuffer(32));
  const target = operandOf(instruction, 0);
  const count = isWide(instruction) ? 8 : 4;
  sse.begin(cpu.u32(state.mxcsr));
  for (let lane = 0; lane < count; lane += 1) {
    result.setUint32(lane * 4, sse.fromHalf(source.getUint16(lane * 2, true)), true);
  }
  finishFloat(cpu);
  if (target.kind === "register") {
    writeRegister(cpu, target.number, result, 256);
  }
};

const toHalves: Helper = (cpu, instruction) => {
  requireVectors(cpu, instruction);
  const immediate = immediateOf(instruction);
  const source = readLanes(cpu, instruction, 1);
  const target = operandOf(instruction, 0);
  const count = isWide(instruction) ? 8 : 4;
  const result = new DataView(new ArrayBuffer(32));
  sse.begin(cpu.u32(state.mxcsr));
  for (let lane = 0; lane < count; lane += 1) {
    result.setUint16(lane * 2, sse.toHalf(source.getUint32(lane * 4, true), immediate), true);
  }
  const length = count * 2;
  const linear = target.kind === "memory" ? cpu.linear(instruction, length, true) : 0n;
  if (target.kind === "memory") {
    cpu.access.probeWrite(linear, length); // Its page fault comes before exceptions of numbers.
  }
  finishFloat(cpu);
  if (target.kind === "register") {
    writeRegister(cpu, target.number, result, 256);
  } else {
    cpu.writeBytes(linear, new Uint8Array(result.buffer, 0, length));
  }
};

export const fmaHelpers: readonly (readonly [string, Helper])[] = [
  ["vfma.ps", fused(4)], ["vfma.ss", fused(4)], ["vfma.pd", fused(8)], ["vfma.sd", fused(8)],
  ["vcvtph2ps", fromHalves], ["vcvtps2ph", toHalves],
];
