/** Vector instructions: encodings, what forbids them, exceptions, and the fast path of floats. */
import { decode } from "../../../src/cpu/decoder/decode.ts";
import { SseFloat, sseOperation } from "../../../src/cpu/float/sse.ts";
import { vector } from "../../../src/cpu/layout.ts";
import { allFeatures } from "../../../src/cpu/system/features.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";
import { dataAt, doubleBits, execute, noFault, type Setup } from "./simd-machine.ts";

const paddd = [0x66, 0x0f, 0xfe, 0xc1]; // PADDD xmm0, xmm1
const addsd = [0xf2, 0x0f, 0x58, 0xc1]; // ADDSD xmm0, xmm1
const movaps = [0x0f, 0x28, 0x06]; // MOVAPS xmm0, [rsi]
const movups = [0x0f, 0x10, 0x06]; // MOVUPS xmm0, [rsi]
const paddb = [0x0f, 0xfc, 0xc1]; // PADDB mm0, mm1
const precision = 0x20, divideByZero = 4;

const names: readonly (readonly [string, readonly number[]])[] = [
  ["paddd", paddd], ["addsd", addsd], ["mova", movaps], ["movu", movups], ["paddb", paddb],
  ["pshufd", [0x66, 0x0f, 0x70, 0xc1, 0x1b]], ["pshuflw", [0xf2, 0x0f, 0x70, 0xc1, 0x1b]],
  ["palignr", [0x66, 0x0f, 0x3a, 0x0f, 0xc1, 5]], ["pshufb", [0x66, 0x0f, 0x38, 0x00, 0xc1]],
  ["pcmpistri", [0x66, 0x0f, 0x3a, 0x63, 0xc1, 0x0c]], ["ptest", [0x66, 0x0f, 0x38, 0x17, 0xc1]],
  ["pextrq", [0x66, 0x48, 0x0f, 0x3a, 0x16, 0xc0, 1]],
  ["pextrd", [0x66, 0x0f, 0x3a, 0x16, 0xc0, 1]], ["movz", [0xf3, 0x0f, 0x7e, 0xc1]],
  ["movlow", [0xf2, 0x0f, 0x10, 0xc1]], ["movz", [0xf2, 0x0f, 0x10, 0x06]],
  ["movhlps", [0x0f, 0x12, 0xc1]], ["emms", [0x0f, 0x77]], ["maskmov", [0x66, 0x0f, 0xf7, 0xc1]],
];

test("vector rows decode by prefix, REX.W and form", () => {
  for (const [mnemonic, code] of names) {
    const result = decode(Uint8Array.from(code), { bits: 64, features: allFeatures });
    assert.equal(result.status, "ok", mnemonic);
    assert.equal(result.status === "ok" && result.instruction.row.mnemonic, mnemonic);
    assert.equal(result.status === "ok" && result.instruction.length, code.length);
  }
});

test("rows of a feature that is missing are undefined", () => {
  const code = Uint8Array.from([0x66, 0x0f, 0x38, 0x17, 0xc1]);
  assert.equal(decode(code, { bits: 64, features: new Set() }).status, "undefined");
});

test("control registers forbid vector instructions", () => {
  const [em, ts] = [4n, 8n];
  for (const code of [paddd, addsd, [0x0f, 0x53, 0xc1]]) {
    assert.equal(execute(code).vector, noFault);
    assert.equal(execute(code, { cr0: ts }).vector, vector.nm);
    assert.equal(execute(code, { cr0: em }).vector, vector.ud);
    assert.equal(execute(code, { cr0: em | ts }).vector, vector.ud);
    assert.equal(execute(code, { cr4: 0x20n }).vector, vector.ud);
  }
  for (const code of [paddb, [0x0f, 0x77]]) {
    assert.equal(execute(code, { cr4: 0x20n }).vector, noFault);
    assert.equal(execute(code, { cr0: ts }).vector, vector.nm);
    assert.equal(execute(code, { cr0: em }).vector, vector.ud);
  }
});

test("128-bit operands in memory stand at multiples of 16, but for MOVUPS", () => {
  const odd = { gpr: { 6: BigInt(dataAt + 1) } };
  assert.equal(execute(movaps).vector, noFault);
  assert.equal(execute(movaps, odd).vector, vector.gp);
  assert.equal(execute([0x0f, 0x29, 0x06], odd).vector, vector.gp);
  assert.equal(execute([0x66, 0x0f, 0xfe, 0x06], odd).vector, vector.gp);
  assert.equal(execute([0x0f, 0x5e, 0x06], odd).vector, vector.gp);
  assert.equal(execute(movups, odd).vector, noFault);
  assert.equal(execute([0x66, 0x0f, 0x3a, 0x63, 0x06, 0x0c], odd).vector, noFault);
});

test("the precision flag appears with the first inexact result", () => {
  const sum = (a: number, b: number, mxcsr: number) => execute(addsd, {
    mxcsr, xmm: { 0: [doubleBits(a), 7n], 1: [doubleBits(b), 9n] },
  });
  const exact = sum(1.5, 2.25, 0x1f80);
  assert.equal(exact.mxcsr, 0x1f80);
  assert.deepEqual(exact.xmm(0), [doubleBits(3.75), 7n]);
  const inexact = sum(0.1, 0.2, 0x1f80);
  assert.equal(inexact.mxcsr, 0x1f80 | precision);
  assert.deepEqual(inexact.xmm(0), [doubleBits(0.1 + 0.2), 7n]);
  assert.equal(sum(0.1, 0.2, 0x1fa0).mxcsr, 0x1fa0);
  // Rounding up and down.
  assert.equal(sum(1, 2 ** -60, 0x5f80).xmm(0)[0], doubleBits(1 + 2 ** -52));
  assert.equal(sum(1, 2 ** -60, 0x3f80).xmm(0)[0], doubleBits(1));
});

test("an unmasked exception leaves the target alone", () => {
  const divsd = [0xf2, 0x0f, 0x5e, 0xc1];
  const setup: Setup = {
    mxcsr: 0x1f80 & ~(divideByZero << 7), xmm: { 0: [doubleBits(1), 7n], 1: [0n, 0n] },
  };
  const outcome = execute(divsd, setup);
  assert.equal(outcome.vector, vector.xm);
  assert.equal(outcome.mxcsr & 0x3f, divideByZero);
  assert.deepEqual(outcome.xmm(0), [doubleBits(1), 7n]);
  assert.equal(execute(divsd, { ...setup, cr4: 0x220n }).vector, vector.ud);
});

test("MMX registers are those of the x87", () => {
  // MOVD mm2, eax; PADDB mm2, mm2
  const outcome = execute([0x0f, 0x6e, 0xd0, 0x0f, 0xfc, 0xd2], { gpr: { 0: 0x0102_0384n } });
  assert.equal(outcome.x87.getBigUint64(32 + 2 * 16, true), 0x0204_0608n);
  assert.equal(outcome.x87.getUint16(32 + 2 * 16 + 8, true), 0xffff);
  assert.equal(outcome.x87.getUint8(4), 0xff);
  assert.equal(outcome.x87.getUint16(2, true) & 0x3800, 0);
  assert.equal(execute([0x0f, 0x6e, 0xd0, 0x0f, 0x77]).x87.getUint8(4), 0);
});

const characters = (text: string): [bigint, bigint] => {
  const bytes = new DataView(new ArrayBuffer(16));
  [...text].forEach((letter, index) => bytes.setUint8(index, letter.charCodeAt(0)));
  return [bytes.getBigUint64(0, true), bytes.getBigUint64(8, true)];
};

test("PCMPISTRI finds a substring, a set and a range", () => {
  const find = (immediate: number, first: string, second: string) => {
    const outcome = execute([0x66, 0x0f, 0x3a, 0x63, 0xc1, immediate],
      { xmm: { 0: characters(first), 1: characters(second) } });
    return [Number(outcome.gpr(1)), outcome.flags & 0x8d5];
  };
  assert.deepEqual(find(0x0c, "llo", "hello"), [2, 0xc1]);
  assert.deepEqual(find(0x00, "xyo", "hello"), [4, 0xc1]);
  assert.deepEqual(find(0x04, "mz", "hello"), [4, 0xc1]);
  assert.deepEqual(find(0x08, "hello", "help"), [0, 0x8c1]);
  assert.deepEqual(find(0x18, "hello", "hello"), [16, 0xc0]);
});

test("CRC32 is that of Castagnoli", () => {
  // CRC32 eax, cl over "123456789", from all ones.
  let crc = 0xffff_ffffn;
  for (const letter of "123456789") {
    crc = execute([0xf2, 0x0f, 0x38, 0xf0, 0xc1],
      { gpr: { 0: crc, 1: BigInt(letter.charCodeAt(0)) } }).gpr(0);
  }
  assert.equal(crc ^ 0xffff_ffffn, 0xe306_9283n);
});

/** Doubles of all magnitudes and of few bits, with the special ones. */
function operand(next: () => number): bigint {
  const choice = next() % 8;
  const sign = BigInt(next() & 1) << 63n;
  if (choice === 0) {
    return sign | ([0n, 1n, 0x7ffn << 52n, 0x7ff8n << 48n, 0x7ff0_0000_0000_0001n, 1n << 52n]
      [next() % 6] ?? 0n);
  }
  if (choice < 4) {
    return doubleBits((next() % 4096 - 2048) / 2 ** (next() % 12));
  }
  const exponent = choice < 6 ? 1023 + next() % 8 : next() % 0x7ff;
  return sign | BigInt(exponent) << 52n | (BigInt(next() & 0xf_ffff) << 32n) | BigInt(next() >>> 0);
}

test(`fast results and flags are those of exact software (seed ${seed})`, () => {
  const next = randomSource(seed);
  const exact = new SseFloat();
  const operations = [[0x58, sseOperation.add], [0x5c, sseOperation.subtract],
    [0x59, sseOperation.multiply], [0x5e, sseOperation.divide], [0x5d, sseOperation.minimum],
    [0x5f, sseOperation.maximum]] as const;
  for (let count = 0; count < 600; count += 1) {
    const [opcode, operation] = operations[count % operations.length] ?? operations[0];
    const a = operand(next), b = operand(next);
    const mxcsr = count % 2 === 0 ? 0x1f80 : 0x1fa0;
    exact.begin(mxcsr);
    const expected = exact.binary64(operation, a, b);
    exact.finish();
    const outcome = execute([0xf2, 0x0f, opcode, 0xc1], { mxcsr, xmm: { 0: [a, 1n], 1: [b, 2n] } });
    const what = `${opcode.toString(16)} of ${a.toString(16)} and ${b.toString(16)}`;
    assert.deepEqual(outcome.xmm(0), [expected, 1n], what);
    assert.equal(outcome.mxcsr, mxcsr | exact.flags, what);
  }
});
