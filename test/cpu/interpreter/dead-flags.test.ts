/** Flags that nobody can see are not computed: whole runs must still end, or fault, with what
 * single-stepping gives. Random straight code, some of it reading flags, some of it faulting. */
import { assert, randomSource, seed, test } from "../../support/harness.ts";
import { enterLongMode, setGate, testMachine, type TestMachine } from "../system/machine-code.ts";

const codeAt = 0x8000, dataAt = 0x20000, handlerAt = 0x9000, programs = 1500, lengthMax = 24;
const arithmetic = [0x01, 0x09, 0x11, 0x19, 0x21, 0x29, 0x31, 0x39, 0x85];
/** ROL, ROR, SHL, SHR, SAR by their ModRM.reg; MOV EAX from an address that is not canonical. */
const shifts = [0, 1, 4, 5, 7];
const readUnmapped = [0x48, 0xa1, 0, 0, 0, 0, 0, 0, 0, 0x80];

/** One instruction on eax to edi without esp and ebp, or on memory at [rbp], or one that faults. */
function instruction(next: () => number): number[] {
  const reg = () => [0, 1, 2, 3, 6, 7][next() % 6] ?? 0;
  const registers = 0xc0 | (reg() << 3) | reg();
  const wide = next() % 2 === 0 ? [0x48] : [];
  const shift = (shifts[next() % shifts.length] ?? 4) << 3;
  switch (next() % 12) {
    case 0: case 1: case 2: case 3:
      return [...wide, arithmetic[next() % arithmetic.length] ?? 1, registers];
    case 4: return [...wide, 0xc1, 0xc0 | shift | reg(), next() & 63];
    case 5: return [...wide, 0x0f, 0xaf, registers];
    case 6: return [...wide, 0xff, 0xc0 | (next() % 2) << 3 | reg()];
    case 7: return [0x0f, 0x90 | (next() & 15), 0xc0 | (next() & 3)];
    case 8: return [...wide, 0x0f, 0x40 | (next() & 15), registers];
    case 9: return [...wide, next() % 2 === 0 ? 0x01 : 0x03, 0x45 | (reg() << 3), next() & 63];
    case 10: return next() % 6 === 0 ? readUnmapped : [...wide, 0x89, registers];
    default: return [...wide, 0xd3, 0xe0 | reg()];
  }
}

interface Outcome {
  readonly registers: readonly string[];
  readonly flags: number;
  readonly rip: string;
  readonly memory: string;
}

function outcome({ cpu, ram }: TestMachine): Outcome {
  return {
    registers: Array.from({ length: 16 }, (_, number) => cpu.gpr(number).toString(16)),
    flags: cpu.flags, rip: cpu.rip.toString(16),
    memory: Buffer.from(ram.subarray(dataAt, dataAt + 128)).toString("hex")
      + Buffer.from(ram.subarray(0xefc0, 0xf000)).toString("hex"),
  };
}

function run(code: readonly number[], start: readonly bigint[], stepping: boolean): Outcome {
  const { cpu, ram } = machine;
  cpu.reset();
  ram.fill(0, 0xe000, 0xf000);
  ram.fill(0x5a, dataAt, dataAt + 128);
  enterLongMode(machine);
  setGate(machine, 13, handlerAt);
  ram.set(code, codeAt);
  ram[handlerAt] = 0xf4;
  start.forEach((value, number) => cpu.setGpr(number, value));
  cpu.setGpr(4, 0xf000n);
  cpu.setGpr(5, BigInt(dataAt));
  cpu.flags = 2;
  cpu.rip = BigInt(codeAt);
  if (stepping) {
    cpu.debug.write(0, 0x7777_0000n); // A breakpoint nowhere near makes it go step by step.
    cpu.debug.write(7, 1n);
  }
  for (let slice = 0; slice < 50 && cpu.run(1000) === "yield"; slice += 1) {
    // Until HLT.
  }
  return outcome(machine);
}

const machine = testMachine();

test(`runs of code end as single steps do (seed ${seed})`, () => {
  const next = randomSource(seed);
  for (let program = 0; program < programs; program += 1) {
    const length = 2 + (next() % lengthMax);
    const code = [...Array.from({ length }, () => instruction(next)).flat(), 0xf4];
    const start = Array.from({ length: 16 }, () => BigInt(next()) << 32n | BigInt(next()));
    const whole = run(code, start, false);
    const steps = run(code, start, true);
    assert.deepEqual(whole, steps, `program ${program}: ${Buffer.from(code).toString("hex")}`);
  }
});
