/** ENTER whose old frame overlaps the one it makes: each copy sees the pushes before it. */
import { state, segmentIndex } from "../../../src/cpu/layout.ts";
import { assert, test } from "../../support/harness.ts";
import { enterLongMode, freshMachine } from "./machine-code.ts";

const codeAt = 0x8000, stackTop = 0xe000;

/** Runs ENTER with this frame pointer over words that all differ; returns the new frame. */
function enter(rbp: number, level: number, bits: 32 | 64): number[] {
  const machine = freshMachine();
  enterLongMode(machine);
  const { cpu, ram, view } = machine;
  if (bits === 32) {
    cpu.setU64(state.efer, 0n);
    cpu.setU64(state.cr0, 0x11n);
    cpu.setSegment(segmentIndex.cs,
      { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b });
    cpu.flushTlb();
    cpu.sync();
  }
  const size = bits / 8;
  for (let at = 0; at < 32; at += 1) {
    view.setUint32(stackTop - 16 * size + at * size, 0xa000 + at, true);
  }
  ram.set([0xc8, 0x10, 0x00, level, 0xf4], codeAt);
  cpu.rip = BigInt(codeAt);
  cpu.setGpr(4, BigInt(stackTop));
  cpu.setGpr(5, BigInt(rbp));
  assert.equal(cpu.run(100), "halt");
  assert.equal(Number(cpu.gpr(5)), stackTop - size);
  assert.equal(Number(cpu.gpr(4)), stackTop - size * (level + 1) - 0x10);
  return Array.from({ length: level + 1 }, (_, index) =>
    view.getUint32(stackTop - (index + 1) * size, true));
}

for (const bits of [32, 64] as const) {
  const size = bits / 8;
  test(`ENTER of ${bits} bits copies what it has just pushed`, () => {
    // The old frame pointer is the old top: the first copy is the pushed frame pointer itself.
    assert.deepEqual(enter(stackTop, 3, bits),
      [stackTop, stackTop, stackTop, stackTop - size]);
    // One word higher: first a word of before, then the pushed frame pointer.
    assert.deepEqual(enter(stackTop + size, 3, bits),
      [stackTop + size, 0xa010, stackTop + size, stackTop - size]);
    // Not overlapping: words of before.
    assert.deepEqual(enter(stackTop + 8 * size, 3, bits),
      [stackTop + 8 * size, 0xa017, 0xa016, stackTop - size]);
  });
}
