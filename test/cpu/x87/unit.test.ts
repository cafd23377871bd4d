import { X87State, x87StateBytes } from "../../../src/cpu/x87/state.ts";
import { X87 } from "../../../src/cpu/x87/x87.ts";
import { assert, test } from "../../support/harness.ts";

const noMemory = new DataView(new ArrayBuffer(0));
const view = new DataView(new ArrayBuffer(x87StateBytes + 32));
const unit = new X87(view, 32);
const state = new X87State(view, 32);

function memory(bytes: number, fill: (operand: DataView) => void = () => {}): DataView {
  const operand = new DataView(new ArrayBuffer(bytes));
  fill(operand);
  return operand;
}

test("FADD m32 adds to the top of the stack", () => {
  unit.initialise();
  unit.execute(0xd9, 0xe8, noMemory); // FLD1
  unit.execute(0xd8, 0x00, memory(4, (operand) => operand.setFloat32(0, 2.5, true)));
  const result = memory(8);
  unit.execute(0xdd, 0x18, result); // FSTP m64
  assert.equal(unit.stored, true);
  assert.equal(result.getFloat64(0, true), 3.5);
  assert.equal(state.tagWord, 0xffff);
});

test("an unmasked division by zero waits for the next instruction", () => {
  unit.initialise();
  unit.execute(0xd9, 0x28, memory(2, (operand) => operand.setUint16(0, 0x037b, true)));
  unit.execute(0xd9, 0xe8, noMemory); // FLD1
  unit.execute(0xd9, 0xee, noMemory); // FLDZ
  assert.equal(unit.hasPendingException(), false);
  unit.execute(0xde, 0xf9, noMemory); // FDIVP
  assert.equal(unit.hasPendingException(), true);
  assert.equal(state.top, 6); // both operands are still there
  assert.equal(unit.form(0xd9, 0xe8)?.waits, true);
  assert.equal(unit.form(0xdb, 0xe2)?.waits, false);
  unit.execute(0xdb, 0xe2, noMemory); // FNCLEX
  assert.equal(unit.hasPendingException(), false);
});

test("an unmasked invalid store leaves memory and stack alone", () => {
  unit.initialise();
  unit.execute(0xd9, 0x28, memory(2, (operand) => operand.setUint16(0, 0x037e, true)));
  unit.execute(0xd9, 0xeb, noMemory); // FLDPI
  unit.execute(0xd9, 0xeb, noMemory);
  unit.execute(0xd8, 0x08, memory(4, (operand) => operand.setFloat32(0, 2 ** 100, true)));
  unit.execute(0xdf, 0x18, memory(2)); // FISTP m16
  assert.equal(unit.stored, false);
  assert.equal(state.top, 6);
});

test("what is no instruction is refused", () => {
  assert.equal(unit.form(0xd9, 0x08), undefined);
  assert.equal(unit.execute(0xd9, 0xd1, noMemory), false);
});

test("the environment is 14 or 28 bytes by the operand size", () => {
  assert.deepEqual(unit.form(0xd9, 0x30)?.bytes, { narrow: 14, wide: 28 });
  assert.deepEqual(unit.form(0xdd, 0x30)?.bytes, { narrow: 94, wide: 108 });
});

test("control instructions keep the pointers of the last other one", () => {
  unit.initialise();
  unit.setOrigin(0x1000n, 8, 0n, 0);
  unit.execute(0xd9, 0xe8, noMemory);
  unit.setOrigin(0x2000n, 8, 0x3000n, 16);
  unit.execute(0xd9, 0x38, memory(2)); // FNSTCW
  assert.equal(state.instructionPointer, 0x1000n);
  assert.equal(state.opcode, 0x1e8);
});

test("after reset all registers are zeros in use and no exception is masked", () => {
  unit.reset();
  assert.equal(state.control, 0x40);
  assert.equal(state.tagWord, 0x5555);
});
