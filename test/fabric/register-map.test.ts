import { AssertionFailure } from "../../src/base/assert.ts";
import { registerMap } from "../../src/fabric/register-map.ts";
import { assert, test } from "../support/harness.ts";

class Chip {
  readonly state = { word: 0x1234, bank: 0, kept: 0xf0, wide: 0x8765_4321 };
  reads = 0;
  readonly written: number[] = [];
}

const map = registerMap<Chip>({
  size: 16, banks: 2, bank: (chip) => chip.state.bank,
  rows: [
    [0, "WORD", "rw", { size: 2, field: "word" }],
    [2, "KEPT", "rw", { field: "kept", mask: 0x0f }],
    [3, "FIFO", "r", { bank: 0, read: (chip) => (chip.reads += 1) }],
    [3, "FIFO", "w", { bank: 0, write: (chip, value) => { chip.written.push(value); } }],
    [3, "OTHER", "r", { bank: 1, read: () => 0x55 }],
    [4, "WIDE", "rw", { size: 4, field: "wide" }],
  ],
});

test("registers answer at their own width", () => {
  const chip = new Chip();
  assert.equal(map.read(chip, 0, 2), 0x1234);
  map.write(chip, 4, 4, 0xdead_beef);
  assert.equal(chip.state.wide, 0xdead_beef);
});

test("a narrow access sees and changes its bytes only", () => {
  const chip = new Chip();
  assert.equal(map.read(chip, 1, 1), 0x12);
  map.write(chip, 1, 1, 0xab);
  assert.equal(chip.state.word, 0xab34);
  map.write(chip, 6, 2, 0xffff);
  assert.equal(chip.state.wide, 0xffff_4321);
});

test("a wide access joins the registers it touches, each once", () => {
  const chip = new Chip();
  assert.equal(map.read(chip, 0, 4), 0x01f0_1234);
  assert.equal(chip.reads, 1);
  map.write(chip, 2, 2, 0x77ff);
  assert.equal(chip.state.kept, 0xff);
  assert.deepEqual(chip.written, [0x77]);
});

test("masked bits keep their value", () => {
  const chip = new Chip();
  map.write(chip, 2, 1, 0x05);
  assert.equal(chip.state.kept, 0xf5);
});

test("the bank decides which register shows", () => {
  const chip = new Chip();
  chip.state.bank = 1;
  assert.equal(map.read(chip, 3, 1), 0x55);
  map.write(chip, 3, 1, 1);
  assert.deepEqual(chip.written, []);
});

test("where there is no register reads give ones, or what the map says, and writes vanish", () => {
  const chip = new Chip();
  assert.equal(map.read(chip, 8, 4), 0xffff_ffff);
  assert.equal(map.read(chip, 14, 4), 0xffff_ffff, "also past the end");
  map.write(chip, 12, 4, 0);
  const zero = registerMap<Chip>({ size: 4, empty: 0, rows: [] });
  assert.equal(zero.read(chip, 1, 2), 0);
});

test("overlapping rows, and rows outside the block, are a defect", () => {
  const rows = (second: number) => () => registerMap<Chip>({
    size: 4,
    rows: [
      [0, "A", "r", { size: 2, read: () => 0 }], [second, "B", "r", { size: 2, read: () => 0 }],
    ],
  });
  assert.throws(rows(1), AssertionFailure);
  assert.throws(rows(3), AssertionFailure);
  rows(2)();
});
