import { roundingOf, SseFloat, sseOperation } from "../../../src/cpu/float/sse.ts";
import { assert, randomSource, seed, skipTest, test } from "../../support/harness.ts";
import { at, caseCount, NativeBatch, nativeFpu, type NativeFpu } from "./native.ts";
import {
  bits64, pattern32, pattern64, type Random, relative, someMxcsr,
} from "./operands.ts";

/** The answer of either side: a pattern or other number, and what happened. */
interface Answer {
  readonly result: bigint;
  readonly flags: number;
  readonly fault: boolean;
}

interface Form {
  readonly name: string;
  readonly code: readonly number[];
  /** Widths of the operands in xmm0, xmm1 and xmm2; 0 if unused. */
  readonly widths: readonly number[];
  readonly result: "xmm32" | "xmm64" | "mask32" | "mask64" | "rax32" | "rax64" | "eflags";
  readonly run: (sse: SseFloat, ...values: [bigint, bigint, bigint]) => bigint;
}

const n = Number;
const forms: Form[] = [];

function arithmeticForms(): void {
  const opcodes = { add: 0x58, multiply: 0x59, subtract: 0x5c, minimum: 0x5d, divide: 0x5e,
    maximum: 0x5f } as const;
  for (const [name, opcode] of Object.entries(opcodes)) {
    const operation = Object.entries(sseOperation).find(([key]) => key === name)?.[1] ?? 99;
    forms.push({
      name: `${name}32`, code: [0xf3, 0x0f, opcode, 0xc1], widths: [32, 32], result: "xmm32",
      run: (sse, a, b) => BigInt(sse.binary32(operation, n(a), n(b))),
    }, {
      name: `${name}64`, code: [0xf2, 0x0f, opcode, 0xc1], widths: [64, 64], result: "xmm64",
      run: (sse, a, b) => sse.binary64(operation, a, b),
    });
  }
  forms.push({
    name: "squareRoot32", code: [0xf3, 0x0f, 0x51, 0xc1], widths: [0, 32], result: "xmm32",
    run: (sse, _a, b) => BigInt(sse.squareRoot32(n(b))),
  }, {
    name: "squareRoot64", code: [0xf2, 0x0f, 0x51, 0xc1], widths: [0, 64], result: "xmm64",
    run: (sse, _a, b) => sse.squareRoot64(b),
  });
}

function comparisonForms(): void {
  for (let predicate = 0; predicate < 32; predicate++) {
    // VCMPSS xmm0, xmm0, xmm1; the first eight predicates are those of CMPSS.
    forms.push({
      name: `compare32 ${predicate}`, code: [0xc5, 0xfa, 0xc2, 0xc1, predicate],
      widths: [32, 32], result: "mask32",
      run: (sse, a, b) => sse.compare32(predicate, n(a), n(b)) ? 0xffff_ffffn : 0n,
    }, {
      name: `compare64 ${predicate}`, code: [0xc5, 0xfb, 0xc2, 0xc1, predicate],
      widths: [64, 64], result: "mask64",
      run: (sse, a, b) => sse.compare64(predicate, a, b) ? 0xffff_ffff_ffff_ffffn : 0n,
    });
  }
  for (const signalling of [false, true]) {
    const opcode = signalling ? 0x2f : 0x2e;
    forms.push({
      name: `order32 ${signalling}`, code: [0x0f, opcode, 0xc1], widths: [32, 32],
      result: "eflags", run: (sse, a, b) => BigInt(sse.order32(n(a), n(b), signalling)),
    }, {
      name: `order64 ${signalling}`, code: [0x66, 0x0f, opcode, 0xc1], widths: [64, 64],
      result: "eflags", run: (sse, a, b) => BigInt(sse.order64(a, b, signalling)),
    });
  }
}

function conversionForms(): void {
  forms.push({
    name: "widen", code: [0xf3, 0x0f, 0x5a, 0xc1], widths: [0, 32], result: "xmm64",
    run: (sse, _a, b) => sse.widen(n(b)),
  }, {
    name: "narrow", code: [0xf2, 0x0f, 0x5a, 0xc1], widths: [0, 64], result: "xmm32",
    run: (sse, _a, b) => BigInt(sse.narrow(b)),
  });
  for (const truncate of [false, true]) {
    const mode = truncate ? roundingOf.zero : roundingOf.current;
    for (const wide of [false, true]) {
      const bits = wide ? 64 : 32;
      const rest = [...(wide ? [0x48] : []), 0x0f, truncate ? 0x2c : 0x2d, 0xc1];
      const result = wide ? "rax64" : "rax32";
      forms.push({
        name: `integer${bits}From32 ${mode}`, code: [0xf3, ...rest], widths: [0, 32], result,
        run: (sse, _a, b) => BigInt.asUintN(bits, sse.integerFrom32(n(b), bits, mode)),
      }, {
        name: `integer${bits}From64 ${mode}`, code: [0xf2, ...rest], widths: [0, 64], result,
        run: (sse, _a, b) => BigInt.asUintN(bits, sse.integerFrom64(b, bits, mode)),
      });
    }
  }
  // CVTSI2SS and CVTSI2SD from the memory at RDI, to which the first operand is copied.
  for (const wide of [false, true]) {
    const bits = wide ? 64 : 32;
    const rest = [...(wide ? [0x48] : []), 0x0f, 0x2a, 0x07];
    forms.push({
      name: `from${bits} to 32`, code: [0xf3, ...rest], widths: [64], result: "xmm32",
      run: (sse, a) => BigInt(sse.fromInteger32(BigInt.asIntN(bits, a))),
    }, {
      name: `from${bits} to 64`, code: [0xf2, ...rest], widths: [64], result: "xmm64",
      run: (sse, a) => sse.fromInteger64(BigInt.asIntN(bits, a)),
    });
  }
  for (let immediate = 0; immediate < 16; immediate++) {
    forms.push({
      name: `round32 ${immediate}`, code: [0x66, 0x0f, 0x3a, 0x0a, 0xc1, immediate],
      widths: [0, 32], result: "xmm32",
      run: (sse, _a, b) => BigInt(sse.round32(n(b), immediate)),
    }, {
      name: `round64 ${immediate}`, code: [0x66, 0x0f, 0x3a, 0x0b, 0xc1, immediate],
      widths: [0, 64], result: "xmm64",
      run: (sse, _a, b) => sse.round64(b, immediate),
    });
  }
}

/**
 * VFMADD132SS xmm0, xmm1, xmm2 and its kin; the digits of the name are the order of the operands,
 * also that in which NaNs are taken.
 */
function multiplyAddForms(): void {
  const orders = [[0x90, [0, 2, 1]], [0xa0, [1, 0, 2]], [0xb0, [1, 2, 0]]] as const;
  const kinds = [
    [9, false, false], [11, false, true], [13, true, false], [15, true, true],
  ] as const;
  for (const [row, [first, second, third]] of orders) {
    for (const [column, product, addend] of kinds) {
      const opcode = row + column;
      forms.push({
        name: `multiplyAdd32 ${opcode}`, code: [0xc4, 0xe2, 0x71, opcode, 0xc2],
        widths: [32, 32, 32], result: "xmm32",
        run: (sse, ...x) =>
          BigInt(sse.multiplyAdd32(n(x[first]), n(x[second]), n(x[third]), product, addend)),
      }, {
        name: `multiplyAdd64 ${opcode}`, code: [0xc4, 0xe2, 0xf1, opcode, 0xc2],
        widths: [64, 64, 64], result: "xmm64",
        run: (sse, ...x) => sse.multiplyAdd64(x[first], x[second], x[third], product, addend),
      });
    }
  }
}

arithmeticForms();
comparisonForms();
conversionForms();
multiplyAddForms();

function operands(random: Random, form: Form): bigint[] {
  const list: bigint[] = [];
  for (const width of form.widths) {
    const previous = list.at(-1);
    if (width === 0) {
      list.push(0n);
    } else if (form.name.startsWith("from")) {
      list.push(bits64(random) >> BigInt(random() % 64));
    } else if (previous !== undefined && random() % 6 === 0) {
      list.push(relative(random, previous, width, width === 32 ? 23 : 52));
    } else {
      list.push(width === 32 ? BigInt(pattern32(random)) : pattern64(random));
    }
  }
  return [...list, 0n, 0n, 0n].slice(0, 3);
}

function nativeAnswer(batch: NativeBatch, index: number, form: Form): Answer {
  const base = batch.base(index);
  const place = form.result.startsWith("rax") ? at.rax
    : form.result === "eflags" ? at.rflags : at.xmm;
  let result = batch.view.getBigUint64(base + place, true);
  if (form.result.endsWith("32")) {
    result &= 0xffff_ffffn;
  } else if (form.result === "eflags") {
    result &= 0x45n;
  }
  return {
    result,
    flags: batch.view.getUint32(base + at.mxcsr, true) & 0x3f,
    fault: batch.view.getUint32(base + at.signal, true) !== 0,
  };
}

function ownAnswer(sse: SseFloat, form: Form, mxcsr: number, values: readonly bigint[]): Answer {
  sse.begin(mxcsr);
  const result = form.run(sse, values[0] ?? 0n, values[1] ?? 0n, values[2] ?? 0n);
  const fault = sse.finish();
  return { result, flags: sse.flags, fault };
}

const chunk = 20_000;

/** Runs `total` random cases over `list`; returns descriptions of those that differ. */
function differences(native: NativeFpu, list: readonly Form[], total: number): string[] {
  const random = randomSource();
  const sse = new SseFloat();
  const found: string[] = [];
  for (let done = 0; done < total && found.length < 20; done += chunk) {
    const count = Math.min(chunk, total - done);
    const batch = new NativeBatch(count);
    const cases = Array.from({ length: count }, (_, index) => {
      const form = list[random() % list.length];
      assert(form);
      const mxcsr = someMxcsr(random);
      const values = operands(random, form);
      const base = batch.start(index, form.code);
      batch.view.setUint32(base + at.mxcsr, mxcsr, true);
      values.forEach((value, i) => batch.view.setBigUint64(base + at.xmm + 16 * i, value, true));
      batch.view.setBigUint64(base + at.memory, values[0] ?? 0n, true);
      return { form, mxcsr, values };
    });
    const answers = native.run(batch);
    cases.forEach(({ form, mxcsr, values }, index) => {
      const theirs = nativeAnswer(answers, index, form);
      const ours = ownAnswer(sse, form, mxcsr, values);
      const same = ours.flags === theirs.flags && ours.fault === theirs.fault
        && (ours.fault || ours.result === theirs.result);
      if (!same) {
        const show = (x: Answer) => `${x.result.toString(16)} ${x.flags.toString(16)} ${x.fault}`;
        found.push(`${form.name} ${values.map((v) => v.toString(16)).join(" ")} mxcsr `
          + `${mxcsr.toString(16)}: ours ${show(ours)}, theirs ${show(theirs)}`);
      }
    });
  }
  return found;
}

test("the exact sum of tiny and huge rounds by the mode of MXCSR", () => {
  const sse = new SseFloat();
  const one = 0x3ff0_0000_0000_0000n;
  const tiny = 0x0010_0000_0000_0000n;
  sse.begin(0x1f80 | 2 << 13);
  assert.equal(sse.binary64(sseOperation.add, one, tiny), one + 1n);
  assert.equal(sse.finish(), false);
  assert.equal(sse.flags, 0x20);
});

test("an unmasked early exception hides the late ones of the other lanes", () => {
  const sse = new SseFloat();
  sse.begin(0x1f80 & ~(4 << 7));
  sse.binary32(sseOperation.divide, 0x3f80_0000, 0x4040_0000);
  sse.binary32(sseOperation.divide, 0x3f80_0000, 0);
  assert.equal(sse.finish(), true);
  assert.equal(sse.flags, 4);
});

/** ADDPS, MULPS, SUBPS and DIVPS: all four lanes, flags and faults of the whole instruction. */
function packedDifferences(native: NativeFpu, count: number): string[] {
  const random = randomSource(seed + 1);
  const sse = new SseFloat();
  const batch = new NativeBatch(count);
  const { add, multiply, subtract, divide } = sseOperation;
  const operations = [[0x58, add], [0x59, multiply], [0x5c, subtract], [0x5e, divide]] as const;
  const cases = Array.from({ length: count }, (_, index) => {
    const [opcode, operation] = operations[random() & 3] ?? operations[0];
    const base = batch.start(index, [0x0f, opcode, 0xc1]);
    const mxcsr = someMxcsr(random);
    const a = [0, 1, 2, 3].map(() => pattern32(random));
    const b = [0, 1, 2, 3].map(() => pattern32(random));
    batch.view.setUint32(base + at.mxcsr, mxcsr, true);
    a.forEach((bits, i) => batch.view.setUint32(base + at.xmm + 4 * i, bits, true));
    b.forEach((bits, i) => batch.view.setUint32(base + at.xmm + 16 + 4 * i, bits, true));
    return { operation, mxcsr, a, b };
  });
  const answers = native.run(batch);
  return cases.flatMap(({ operation, mxcsr, a, b }, index) => {
    const base = answers.base(index);
    sse.begin(mxcsr);
    const lanes = a.map((bits, i) => sse.binary32(operation, bits, b[i] ?? 0));
    const fault = sse.finish();
    const ours = [fault, sse.flags, ...(fault ? a : lanes)].join(" ");
    const theirs = [
      answers.view.getUint32(base + at.signal, true) !== 0,
      answers.view.getUint32(base + at.mxcsr, true) & 0x3f,
      ...a.map((_, i) => answers.view.getUint32(base + at.xmm + 4 * i, true)),
    ].join(" ");
    return ours === theirs ? [] : [`${operation} ${a} ${b} ${mxcsr}: ${ours}; ${theirs}`];
  });
}

const native = nativeFpu();
if (typeof native === "string") {
  skipTest("SSE arithmetic agrees with the processor of the host", native);
} else {
  const filter = process.env["FORMS"];
  const list = forms.filter((form) => filter === undefined || form.name.startsWith(filter));
  test("SSE arithmetic agrees with the processor of the host", () => {
    const found = differences(native, list, caseCount(200_000));
    assert.deepEqual(found, [], `seed ${seed}`);
  });
  test("packed instructions report all lanes as the processor does", () => {
    assert.deepEqual(packedDifferences(native, 20_000).slice(0, 10), [], `seed ${seed}`);
  });
}
