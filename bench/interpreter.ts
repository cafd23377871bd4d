/**
 * How fast are the interpreter and compiled code on integer work, branches, loads and stores, in
 * 64-bit code? Guest instructions a second. `bench/boot.ts` has TCG beside the whole machine.
 */
import { enterLongMode, testMachine } from "../test/cpu/system/machine-code.ts";

const loops = 10_000_000;
const rounds = 5;
/** Instructions of one turn of the loop below, about: the branch is taken half of the time. */
const perLoop = 9.5;
const codeAt = 0x8000;

/**
 *     mov ecx, loops; xor ebx, ebx
 * 1:  mov rax, [rbx+0x10000]; add rax, rcx; mov [rbx+0x10008], rax; test al, 8; jz 2f; xor rdx, rax
 * 2:  add ebx, 16; and ebx, 0xff0; dec ecx; jnz 1b; hlt
 */
const program = [
  0xb9, loops & 0xff, (loops >> 8) & 0xff, (loops >> 16) & 0xff, loops >>> 24, 0x31, 0xdb,
  0x48, 0x8b, 0x83, 0, 0, 1, 0, 0x48, 0x01, 0xc8, 0x48, 0x89, 0x83, 8, 0, 1, 0,
  0xa8, 0x08, 0x74, 0x03, 0x48, 0x31, 0xc2, 0x83, 0xc3, 0x10, 0x81, 0xe3, 0xf0, 0x0f, 0, 0,
  0xff, 0xc9, 0x75, 0xdb, 0xf4,
];

/** Millions of instructions a second, the best of some rounds. */
function speedOf(options: Parameters<typeof testMachine>[0]): number {
  let best = Infinity;
  for (let round = 0; round < rounds; round += 1) {
    const machine = testMachine(options);
    enterLongMode(machine);
    machine.ram.set(program, codeAt);
    machine.cpu.rip = BigInt(codeAt);
    const start = performance.now();
    while (machine.cpu.run(150_000) === "yield") {
      // The time slice is over; a machine would look at its timers here.
    }
    best = Math.min(best, performance.now() - start);
  }
  return (loops * perLoop) / best / 1000;
}

const interpreted = speedOf({ jit: "off" }).toFixed(0);
console.log(`interpreter: ${interpreted} MIPS (bar: 120), best of ${rounds}; `
  + `with compiled code ${speedOf({}).toFixed(0)}`);
