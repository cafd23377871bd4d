/**
 * Compiled code against the interpreter: loops, calls, faults, code that changes, interrupts in
 * time, and no growth without bound. The same machine code runs in both.
 */
import { assert, randomSource, seed, test } from "../../support/harness.ts";
import { Processor } from "../../../src/cpu/system/processor.ts";
import { state } from "../../../src/cpu/layout.ts";
import { enterLongMode, setGate, testMachine, type TestMachine } from "../system/machine-code.ts";

const codeAt = 0x8000, handlerAt = 0xa000, dataAt = 0x20000, stackTop = 0x40000;
const rax = 0, rcx = 1, rdx = 2, rbx = 3, rsp = 4, rsi = 6, rdi = 7;
const eager = { threshold: 1 };
const halt = 0xf4;

function machine(jit: "off" | { threshold: number }, code: readonly number[]): TestMachine {
  const made = testMachine({ jit });
  enterLongMode(made);
  for (let which = 0; which < 32; which += 1) {
    setGate(made, which, handlerAt);
  }
  made.ram[handlerAt] = halt;
  made.ram.set(code, codeAt);
  made.cpu.rip = BigInt(codeAt);
  made.cpu.setGpr(rsp, BigInt(stackTop));
  return made;
}

/** Runs until the guest halts; a guest that does not is an error. */
function finish({ cpu }: TestMachine, slices = 2000): void {
  for (let slice = 0; slice < slices; slice += 1) {
    if (cpu.run(10_000) !== "yield") {
      return;
    }
  }
  assert.ok(false, "the guest did not end");
}

function registersOf(cpu: Processor): string {
  const names = Array.from({ length: 16 }, (_, number) => cpu.gpr(number).toString(16));
  return `${names.join()} rip ${cpu.rip.toString(16)} flags ${(cpu.flags & 0x8d5).toString(16)}`;
}

/** The guest's end in the interpreter and compiled, which must be one; returns the latter. */
function same(code: readonly number[], prepare: (made: TestMachine) => void = () => {}):
TestMachine {
  const outcomes = ["off" as const, eager].map((jit) => {
    const made = machine(jit, code);
    prepare(made);
    finish(made);
    return made;
  });
  const [interpreted, compiled] = outcomes;
  assert.ok(interpreted && compiled);
  assert.equal(registersOf(compiled.cpu), registersOf(interpreted.cpu));
  assert.equal(Buffer.from(compiled.ram.subarray(dataAt)).compare(
    Buffer.from(interpreted.ram.subarray(dataAt))), 0, "memory is the same");
  assert.ok((compiled.cpu.regions?.counts.compiled ?? 0) > 0, "something was compiled");
  return compiled;
}

const u32 = (value: number) => [value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24];

test("a loop with the stack and memory in it", () => {
  const { cpu } = same([
    0xb9, ...u32(100_000), 0x31, 0xc0, 0xbf, ...u32(dataAt), // mov ecx; xor eax,eax; mov edi
    0x48, 0x01, 0xc8, 0x50, 0x5a, 0x48, 0x89, 0x07, 0x03, 0x07, // L: add rax,rcx … add eax,[rdi]
    0x48, 0xff, 0xc9, 0x75, 0xf1, halt, // dec rcx; jnz L; hlt
  ]);
  assert.equal(cpu.gpr(rcx), 0n);
});

test("recursion and calls through registers", () => {
  // fib(n): cmp edi,2; jl base; push rdi; dec edi; call fib; pop rdi; push rax; sub edi,2;
  // call *rbx; pop rdx; add eax,edx; ret; base: mov eax,edi; ret
  const fib = [0x83, 0xff, 0x02, 0x7c, 0x16, 0x57, 0xff, 0xcf, 0xe8, ...u32(-13), 0x5f, 0x50,
    0x83, 0xef, 0x02, 0xff, 0xd3, 0x5a, 0x01, 0xd0, 0xc3, 0x90, 0x90, 0x90, 0x89, 0xf8, 0xc3];
  const start = [0xbb, ...u32(codeAt + 16), 0xbf, ...u32(15), 0xe8, ...u32(1), halt];
  const { cpu } = same([...start, ...fib]);
  assert.equal(cpu.gpr(rax), 610n);
});

test("a fault in the middle of a loop leaves the registers of the instruction", () => {
  // mov rsi, top of what is mapped - 64; L: lodsq; add rdx,rax; inc rcx; jmp L
  const { cpu, view } = same([
    0x48, 0xbe, 0xc0, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x31, 0xc9, 0x31, 0xd2,
    0x48, 0xad, 0x48, 0x01, 0xc2, 0x48, 0xff, 0xc1, 0xeb, 0xf6,
  ], (made) => made.view.setBigUint64(0x2000 + 4 * 8, 0n, true));
  assert.equal(cpu.gpr(rcx), 8n, "all that is mapped was read");
  assert.equal(cpu.u64(state.cr2), 0x1_0000_0000n);
  const frame = Number(cpu.gpr(rsp));
  assert.equal(view.getBigUint64(frame + 8, true), BigInt(codeAt + 14), "RIP of the LODSQ");
});

test("flags survive a fault behind the instruction that set them", () => {
  // mov rbx, unmapped; L: sub eax,1; mov rdx,[rcx] with rcx = data or, in the end, unmapped; …
  const { cpu, view } = same([
    0xb8, ...u32(0x10), 0xb9, ...u32(dataAt), 0x48, 0xbb, 0, 0, 0, 0, 1, 0, 0, 0,
    0x83, 0xe8, 0x01, 0x48, 0x0f, 0x44, 0xcb, 0x48, 0x8b, 0x11, 0xeb, 0xf4,
  ], (made) => made.view.setBigUint64(0x2000 + 4 * 8, 0n, true));
  assert.equal(Number(view.getBigUint64(Number(cpu.gpr(rsp)) + 24, true)) & 0x8d5, 0x44,
    "ZF and PF are in the frame");
});

test("code that changes itself takes effect at once, also from inside the region", () => {
  // mov ecx,1000; mov edi, L+1; L: mov eax, imm32; add [rdi], 1; add edx, eax; dec ecx; jnz L
  const code = [0xb9, ...u32(1000), 0xbf, ...u32(codeAt + 13), 0x31, 0xd2,
    0xb8, ...u32(5), 0x83, 0x07, 0x01, 0x01, 0xc2, 0xff, 0xc9, 0x75, 0xf2, halt];
  const { cpu } = same(code);
  assert.equal(cpu.gpr(rdx), BigInt(1000 * 5 + 1000 * 999 / 2));
});

test("code that a device changes is compiled anew", () => {
  const made = machine(eager, [0xb8, ...u32(1), 0x01, 0xc2, 0xeb, 0xf7]);
  made.cpu.run(10_000);
  const before = made.cpu.gpr(rdx);
  assert.ok(before > 100n);
  made.cpu.access.writePhysical(codeAt + 1, Uint8Array.of(0));
  made.cpu.run(10_000);
  const stopped = made.cpu.gpr(rdx);
  made.cpu.run(10_000);
  assert.equal(made.cpu.gpr(rdx), stopped, "it adds 0 now");
});

test("a page that is mapped elsewhere is not run as it was compiled", () => {
  // Two pages of code with a loop over both; the second is exchanged under the same address.
  const first = 0x4020_0000, tables = 0x10000;
  const made = machine(eager, []);
  const { cpu, view, ram } = made;
  // 1 GiB at 0x40000000 by 4 KiB pages: page directory and table.
  view.setBigUint64(0x2000 + 8, BigInt(tables) | 7n, true);
  view.setBigUint64(tables + 8, BigInt(tables + 0x1000) | 7n, true);
  const map = (page: number, to: number) =>
    view.setBigUint64(tables + 0x1000 + page * 8, BigInt(to) | 7n, true);
  map(0, 0x30000);
  map(1, 0x31000);
  ram.set([0xe9, ...u32(0x1000 - 5 - 0x10)], 0x30010); // jmp to the second page
  ram.set([0xff, 0xc0, 0xe9, ...u32(0x10 - 0x1007)], 0x31000); // inc eax; jmp back
  ram.set([0xff, 0xc3, 0xe9, ...u32(0x10 - 0x1007)], 0x32000); // inc ebx; jmp back
  cpu.flushTlb();
  cpu.rip = BigInt(first + 0x10);
  cpu.run(20_000);
  assert.ok(cpu.gpr(rax) > 100n);
  assert.equal(cpu.gpr(rbx), 0n);
  map(1, 0x32000);
  cpu.flushTlb();
  const before = cpu.gpr(rax);
  cpu.run(20_000);
  assert.ok(cpu.gpr(rbx) > 100n);
  assert.ok(cpu.gpr(rax) - before < 2n);
});

test("a loop ends at its budget, and when somebody wants the processor's attention", () => {
  const made = machine(eager, [0xff, 0xc0, 0xeb, 0xfc]);
  made.cpu.run(1000);
  const first = Number(made.cpu.gpr(rax));
  assert.ok(first > 400 && first < 600, `${first} rounds of two instructions`);
  made.cpu.run(10_000_000);
  const second = Number(made.cpu.gpr(rax)) - first;
  assert.ok(Math.abs(second - 5_000_000) < 1000, `${second} rounds`);
});

test("REP strings, forwards, backwards and over pages", () => {
  const program = [
    0xbe, ...u32(dataAt), 0xbf, ...u32(dataAt + 0x3007), 0xb9, ...u32(0x2345), 0xf3, 0xa4,
    0xfd, 0xb9, ...u32(0x345), 0xf3, 0xa4, 0xfc, // std; rep movsb backwards; cld
    0xb9, ...u32(0x100), 0xb0, 0x77, 0xf3, 0xaa, 0xbf, ...u32(dataAt), 0xb9, ...u32(0x9000),
    0xf2, 0xae, 0xf3, 0x48, 0xab, halt, // repne scasb; rep stosq
  ];
  const random = randomSource(seed);
  const noise = Uint8Array.from({ length: 0x8000 }, () => random() & 0x7f);
  const { cpu } = same(program, ({ ram }) => ram.set(noise, dataAt));
  assert.ok(cpu.gpr(rdi) !== 0n && cpu.gpr(rsi) !== 0n);
});

test("a region with many entries finds the room for micro-ops nearly gone", () => {
  const calls = 18, nops = 19, calleeAt = 0x30000, scratchAt = 0x50000, runBytes = 64;
  const body = Array.from({ length: calls }, () =>
    [...Array.from({ length: nops }, () => 0x90), 0xff, 0xd3]).flat(); // … call *rbx
  const { cpu, ram } = machine(eager, [...body, halt]);
  ram[calleeAt] = 0xc3;
  ram.fill(0x90, scratchAt, scratchAt + 0x1000);
  /** Decodes runs of one length, until there is no room or as often as is said; counts them. */
  const fill = (runs = Infinity): number => {
    let count = 0;
    for (; count < runs && cpu.code.isRoomy; count += 1) {
      const offset = 0xfc0 - (count % 64) * runBytes; // From the end, so that none meets another.
      if (offset === 0xfc0) {
        cpu.access.writePhysical(scratchAt, Uint8Array.of(0x90));
      }
      cpu.code.microOpAt(cpu.code.page(cpu.map.ram + scratchAt, { bits: 64, stackBits: 64 }),
        offset);
    }
    return count;
  };
  const all = fill();
  for (let spare = 0; spare < 8; spare += 1) {
    cpu.code.flush();
    fill(all - spare);
    const before = cpu.regions?.counts.compiled ?? 0;
    cpu.setGpr(rbx, BigInt(calleeAt));
    cpu.setGpr(rsp, BigInt(stackTop));
    cpu.rip = BigInt(codeAt);
    assert.equal(cpu.run(10_000), "halt");
    cpu.reset();
    enterLongMode({ cpu, ram, view: new DataView(ram.buffer, ram.byteOffset), accesses: [] });
    assert.ok((cpu.regions?.counts.compiled ?? 0) > before);
  }
});

/** Regions of the test of growth; `npm run test:oracle -- regions` compiles 50,000. */
const regionCount = Number(process.env["TSBHYVE_REGIONS"] ?? 6000);

test("very many regions leave a bounded number alive, in bounded memory", () => {
  const { cpu } = machine({ threshold: 1 }, []);
  const rssBefore = process.memoryUsage().rss;
  // inc eax; add ebx, n; jmp rcx, which is back to the start. Fresh code each round.
  const perRound = 40, rounds = regionCount / perRound, firstPage = 0x50000, pages = 160;
  for (let round = 0; round < rounds; round += 1) {
    const page = firstPage + (round % pages) * 0x1000;
    const places = Array.from({ length: perRound }, (_, index) => page + index * 64);
    for (const at of places) {
      cpu.access.writePhysical(at, Uint8Array.from([0xff, 0xc0, 0x81, 0xc3, ...u32(round), 0xff,
        0xe1]));
    }
    for (const at of places) {
      cpu.setGpr(rcx, BigInt(at));
      cpu.rip = BigInt(at);
      cpu.run(8);
    }
  }
  const { compiled } = cpu.regions?.counts ?? { compiled: 0 };
  assert.ok(compiled >= regionCount, `${compiled} were compiled`);
  assert.ok((cpu.regions?.liveCount ?? 0) <= 4096);
  const grown = process.memoryUsage().rss - rssBefore;
  assert.ok(grown < 1.5e9, `${(grown / 1e6).toFixed(0)} MB more after ${compiled} regions`);
});
