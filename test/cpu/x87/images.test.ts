import {
  readEnvironment, readFxsave, readSave, saveBytes, writeEnvironment, writeFxsave, writeSave,
} from "../../../src/cpu/x87/images.ts";
import { X87State, x87StateBytes } from "../../../src/cpu/x87/state.ts";
import { X87 } from "../../../src/cpu/x87/x87.ts";
import { assert, randomSource, seed, skipTest, test } from "../../support/harness.ts";
import { at, NativeBatch, nativeFpu, type NativeFpu } from "../float/native.ts";
import { bits64, pattern80 } from "../float/operands.ts";
import { someImage } from "./cases.ts";

const wideProtected = { wide: true, protectedMode: true } as const;
const record = new DataView(new ArrayBuffer(x87StateBytes));
const state = new X87State(record, 0);
const unit = new X87(record, 0);
/** Bytes of an FXSAVE image that are compared: AMD saves no pointers unless ES is set. */
const comparedBytes = [[0, 6], [32, 160]] as const;

function view(batch: NativeBatch, offset: number, length: number): DataView {
  return new DataView(batch.bytes.buffer, batch.bytes.byteOffset + offset, length);
}

function hex(bytes: DataView, from = 0, to = bytes.byteLength): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("hex");
}

/** The whole state but for the pointers, which depend on the operating system of the host. */
function withoutPointers(image: DataView): string {
  return `${hex(image, 0, 12)} ${hex(image, 28, saveBytes.wide)}`;
}

function ownImage(): DataView {
  const image = new DataView(new ArrayBuffer(saveBytes.wide));
  writeSave(state, image, wideProtected);
  return image;
}

/** Runs `code` on random states; `own` does the same on ours, with the bytes at RDI. */
function compareStates(
  native: NativeFpu, code: readonly number[], own: (memory: DataView) => void,
): void {
  const random = randomSource();
  const count = 2000;
  const batch = new NativeBatch(count);
  for (let index = 0; index < count; index++) {
    const base = batch.start(index, code);
    const image = view(batch, base + at.fsave, saveBytes.wide);
    someImage(random, image);
    image.setUint16(0, image.getUint16(0, true) | 0x3f, true); // no exception is pending
    const memory = view(batch, base + at.memory, 160);
    for (let offset = 0; offset < 160; offset += 8) {
      memory.setBigUint64(offset, bits64(random), true);
    }
    for (let register = 0; register < 8; register++) {
      const { signExponent, significand } = pattern80(random);
      memory.setBigUint64(32 + 16 * register, significand, true);
      memory.setUint16(40 + 16 * register, signExponent, true);
    }
    memory.setUint32(24, 0x1f80, true);
  }
  const answers = native.run(batch);
  for (let index = 0; index < count; index++) {
    const base = batch.base(index);
    readSave(state, view(batch, base + at.fsave, saveBytes.wide), wideProtected);
    const memory = view(batch, base + at.memory, 160);
    own(memory);
    const answer = answers.base(index);
    const theirs = view(answers, answer + at.fsave, saveBytes.wide);
    assert.equal(answers.view.getUint32(answer + at.signal, true), 0);
    assert.equal(withoutPointers(ownImage()), withoutPointers(theirs), `seed ${seed}, ${index}`);
    for (const [from, to] of comparedBytes) {
      const expected = hex(view(answers, answer + at.memory, 160), from, to);
      assert.equal(hex(memory, from, to), expected, `seed ${seed}, ${index}`);
    }
  }
}

test("real-mode environments hold linear addresses and the opcode", () => {
  state.initialise();
  state.setPointers(0x1234n, 0xf000, 0x20n, 0x2000, 0x5aa);
  const image = new DataView(new ArrayBuffer(28));
  assert.equal(writeEnvironment(state, image, { wide: false, protectedMode: false }), 14);
  assert.equal(hex(image, 0, 14), "7f030000ffff" + "3412aaf5" + "20000020");
  writeEnvironment(state, image, { wide: true, protectedMode: false });
  assert.equal(hex(image, 12), "3412ffff" + "aaf50000" + "2000ffff" + "00200000");
  readEnvironment(state, image, { wide: true, protectedMode: false });
  assert.equal(state.instructionPointer, 0xf1234n);
  assert.equal(state.dataPointer, 0x20020n);
  assert.equal(state.opcode, 0x5aa);
});

test("16-bit protected environments hold selectors", () => {
  state.initialise();
  state.setPointers(0x1_1234n, 0x23, 0x2_5678n, 0x2b, 0x5aa);
  const image = new DataView(new ArrayBuffer(14));
  writeEnvironment(state, image, { wide: false, protectedMode: true });
  assert.equal(hex(image), "7f030000ffff3412230078562b00");
});

test("FXSAVE keeps 64-bit pointers with REX.W only", () => {
  state.initialise();
  state.setPointers(0xffff_8000_1234_5678n, 0x10, 0x7fff_0000_0010n, 0x2b, 1);
  const image = new DataView(new ArrayBuffer(160));
  writeFxsave(state, image, false);
  assert.equal(hex(image, 8, 24), "7856341210000000" + "100000002b000000");
  writeFxsave(state, image, true);
  readFxsave(state, image, true);
  assert.equal(state.instructionPointer, 0xffff_8000_1234_5678n);
  assert.equal(state.dataPointer, 0x7fff_0000_0010n);
});

test("an MMX access makes all registers valid and the written one a NaN pattern", () => {
  unit.initialise();
  unit.enterMmx();
  unit.writeMmx(3, 0x0123_4567_89ab_cdefn);
  assert.equal(state.used, 0xff);
  assert.equal(state.top, 0);
  assert.equal(state.signExponentOf(3), 0xffff);
  assert.equal(unit.readMmx(3), 0x0123_4567_89ab_cdefn);
  unit.leaveMmx();
  assert.equal(state.tagWord, 0xffff);
});

const native = nativeFpu();
if (typeof native === "string") {
  skipTest("FXSAVE, FXRSTOR and MMX agree with the processor of the host", native);
} else {
  test("FXSAVE agrees with the processor of the host", () => {
    compareStates(native, [0x0f, 0xae, 0x07], (memory) => writeFxsave(state, memory, false));
  });
  test("FXRSTOR agrees with the processor of the host", () => {
    compareStates(native, [0x0f, 0xae, 0x0f], (memory) => readFxsave(state, memory, false));
  });
  test("MOVQ mm2, mm5 agrees with the processor of the host", () => {
    compareStates(native, [0x0f, 0x6f, 0xd5], () => {
      unit.enterMmx();
      unit.writeMmx(2, unit.readMmx(5));
    });
  });
  test("MOVQ of an MMX register to memory agrees with the processor of the host", () => {
    compareStates(native, [0x0f, 0x7f, 0x2f], (memory) => {
      unit.enterMmx();
      memory.setBigUint64(0, unit.readMmx(5), true);
    });
  });
  test("EMMS agrees with the processor of the host", () => {
    compareStates(native, [0x0f, 0x77], () => unit.leaveMmx());
  });
}
