/** What `vmm.soft.stats` tells, with and without compiled code. */
import type { Processor } from "../../../src/cpu/system/processor.ts";
import { statisticsOf } from "../../../src/cpu/system/statistics.ts";
import { assert, test } from "../../support/harness.ts";
import { enterLongMode, testMachine } from "./machine-code.ts";

const codeAt = 0x8000, rounds = 50_000;
/** mov ecx, rounds; 1: dec ecx; jnz 1b; hlt */
const loop = [0xb9, rounds & 255, rounds >> 8 & 255, rounds >> 16, 0, 0xff, 0xc9, 0x75, 0xfc, 0xf4];
/** The same with an OUT in it. */
const output = [...loop.slice(0, 5), 0xe6, 0x80, 0xff, 0xc9, 0x75, 0xfa, 0xf4];

function run(jit: "off" | { threshold: number }, code: readonly number[]): Processor {
  const nothing = () => 0;
  const made = testMachine({ jit, bus: {
    portRead: nothing, mmioRead: nothing, mmioWrite: nothing,
    portWrite: () => made.cpu.endSlice(), // A device that wants the machine to look around.
  } });
  enterLongMode(made);
  made.ram.set(code, codeAt);
  const { cpu } = made;
  cpu.rip = BigInt(codeAt);
  while (cpu.run(10_000) === "yield") {
    // The next slice.
  }
  return cpu;
}

const statistics = (jit: "off" | { threshold: number }) => statisticsOf(run(jit, loop)).join("\n");

test("instructions are counted in both tiers, also when slices are cut short", () => {
  for (const jit of ["off", { threshold: 100 }] as const) {
    const plain = run(jit, loop).counts.instructions;
    assert.ok(plain > 2 * rounds && plain < 2.1 * rounds, `${plain} instructions`);
    const cut = run(jit, output).counts.instructions;
    assert.ok(cut > 3 * rounds && cut < 5 * rounds, `${cut} instructions, a slice cut at each OUT`);
  }
  assert.match(statistics("off"), /^instructions: about 0\.1 million, \d decoded$/m);
  assert.match(statistics("off"), /, 1 halt,/);
});

test("compiled code is told of, or that there is none", () => {
  assert.match(statistics({ threshold: 100 }), /^compiled code: 1 regions of \d+ instructions/m);
  assert.match(statistics("off"), /^compiled code: none, vmm\.soft\.jit=false$/m);
});
