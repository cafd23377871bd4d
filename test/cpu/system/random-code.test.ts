/** A little random code at CPL 0; `npm run test:oracle -- random` is for minutes. */
import { segmentIndex } from "../../../src/cpu/layout.ts";
import { assert, seed, test } from "../../support/harness.ts";
import { assemble, assemblyTest } from "../../support/nasm.ts";
import { enterLongMode, testMachine } from "./machine-code.ts";
import { runRandomCode } from "./random-code.ts";

test(`random code at CPL 0 never harms the host (seed ${seed})`, () => {
  const count = 40;
  const { programs, decoded, regions } = runRandomCode(300, seed, count);
  assert.equal(programs, count, "all of them ran");
  assert.ok(decoded > 1000, "it decoded");
  assert.ok(regions > 5, `${regions} regions were compiled`);
});

test("a handler that faults at its first instruction does not hold the run loop", () => {
  const machine = testMachine();
  const { cpu, view } = machine;
  for (let vector = 0; vector < 32; vector += 1) {
    view.setUint32(vector * 4, 0xffff_0010, true); // FFFF:0010 is 1 MiB, where RAM has ended.
  }
  cpu.setSegment(segmentIndex.cs, {
    selector: 0xffff, base: 0xf_fff0n, limit: 0xffff, attributes: 0x9b,
  });
  cpu.rip = 0x10n;
  for (let slice = 0; slice < 3; slice += 1) {
    assert.equal(cpu.run(1000), "yield");
  }
});

assemblyTest("code that unmaps itself and then faults ends the guest, not us", () => {
  const machine = testMachine();
  enterLongMode(machine);
  machine.ram.set(assemble(`
    mov byte [0x1000], 0      ; the first entry of the top page table: nothing is mapped now
    mov rbx, 0x800000000000   ; not canonical
    mov rax, [rbx]
  `, { bits: 64, origin: 0x8000 }), 0x8000);
  machine.cpu.rip = 0x8000n;
  assert.equal(machine.cpu.run(1000), "tripleFault");
});
