/** Random code at CPL 0, in every mode: whatever it does, the host's process goes on. */
import { strict as assert } from "node:assert";
import { segmentIndex, state } from "../../../src/cpu/layout.ts";
import { randomSource } from "../../support/random.ts";
import { enterLongMode, setGate, testMachine, type TestMachine } from "./machine-code.ts";

const codeAt = 0x8000, codeBytes = 0x400;
/** Bytes that make random code do more than fault: prefixes, 0F, and system opcodes. */
const favoured = [0x0f, 0x66, 0xf3, 0xf2, 0x48, 0x0f, 0xcf, 0xcd, 0xfa, 0xfb, 0x8e, 0xea,
  0x9a, 0x67];

function fill(machine: TestMachine, next: () => number): void {
  for (let at = codeAt; at < codeAt + codeBytes; at += 1) {
    const favour = next() % 5 === 0;
    machine.ram[at] = favour ? favoured[next() % favoured.length] ?? 0 : next() & 0xff;
  }
}

function start(machine: TestMachine, next: () => number): void {
  const { cpu } = machine;
  cpu.reset();
  const mode = next() % 3;
  enterLongMode(machine);
  for (let vector = 0; vector < 256; vector += 1) {
    setGate(machine, vector, codeAt + (next() % codeBytes), 3);
  }
  if (mode === 1) { // Protected mode of 32 bits, no paging.
    cpu.setU64(state.cr0, 0x11n);
    cpu.setU64(state.efer, 0n);
    cpu.setSegment(segmentIndex.cs, {
      selector: 24, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b,
    });
  } else if (mode === 2) { // Real mode.
    cpu.setU64(state.cr0, 0x10n);
    cpu.setU64(state.efer, 0n);
    cpu.setU64(state.idtrBase, 0n);
    for (const index of [0, 1, 2, 3, 4, 5]) {
      cpu.setSegment(index, { selector: 0, base: 0n, limit: 0xffff, attributes: 0x93 });
    }
  }
  for (let number = 0; number < 16; number += 1) {
    const small = next() % 2 === 0;
    cpu.setGpr(number, small ? BigInt(next() % (1 << 20)) : BigInt(next()) << BigInt(next() % 40));
  }
  cpu.setGpr(4, 0xe000n);
  cpu.rip = BigInt(codeAt);
  cpu.flags = next() & 0x3f_ffff;
  cpu.flags &= mode === 0 ? ~0x2_0000 : -1; // No virtual-8086 mode in long mode.
  cpu.setU32(state.cpl, 0);
  cpu.flushTlb();
  cpu.sync();
}

/** Runs programs for so long, and no more than `programsMax`; says how many. Throws when one ends
 * as no processor would. */
export function runRandomCode(
  seconds: number, seed: number, programsMax = Infinity,
): { programs: number; decoded: number; regions: number } {
  const next = randomSource(seed);
  // Every other program is compiled from its first branch on.
  const machines = [testMachine({ jit: "off" }), testMachine({ jit: { threshold: 1 } })];
  const end = performance.now() + seconds * 1000;
  let programs = 0;
  while (performance.now() < end && programs < programsMax) {
    const machine = machines[programs % 2];
    assert.ok(machine);
    fill(machine, next);
    start(machine, next);
    for (let slice = 0; slice < 4; slice += 1) {
      const reason = machine.cpu.run(2000);
      assert.ok(["yield", "halt", "tripleFault"].includes(reason), reason);
      if (reason !== "yield") {
        break;
      }
    }
    programs += 1;
  }
  const sum = (count: (cpu: TestMachine["cpu"]) => number) =>
    machines.reduce((total, { cpu }) => total + count(cpu), 0);
  return {
    programs, decoded: sum((cpu) => cpu.code.decodedInstructions),
    regions: sum((cpu) => cpu.regions?.counts.compiled ?? 0),
  };
}
