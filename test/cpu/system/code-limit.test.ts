/** Near transfers beyond the limit of CS fault at the transfer, with nothing changed (SDM 2, JMP,
 * CALL, RET, Jcc, LOOP: #GP(0)); so does code that runs on beyond it. */
import { eflags, segmentIndex, state, vector } from "../../../src/cpu/layout.ts";
import { assert } from "../../support/harness.ts";
import { assemble, assemblyTest } from "../../support/nasm.ts";
import { enterLongMode, freshMachine, type TestMachine } from "./machine-code.ts";

const base = 0x1_0000, handler = 0x3000, stackTop = 0x8000;

/** 32-bit code at `base` in a segment that ends after `limit`; exceptions go to a HLT outside. */
function shortSegment(limit: number): TestMachine {
  const machine = freshMachine();
  enterLongMode(machine);
  const { cpu, view, ram } = machine;
  cpu.setU64(state.efer, 0n);
  cpu.setU64(state.cr0, 0x11n);
  view.setBigUint64(0x3008, 0x00cf_9b00_0000_ffffn, true);
  for (let number = 0; number < 32; number += 1) {
    view.setUint32(0x4000 + number * 8, 0x0008_0000 | (handler + 0x6000 + number), true);
    view.setUint32(0x4000 + number * 8 + 4, 0x8e00, true);
    ram[handler + 0x6000 + number] = 0xf4;
  }
  cpu.setU32(state.idtrLimit, 0x7ff);
  cpu.setSegment(segmentIndex.cs,
    { selector: 0x18, base: BigInt(base), limit, attributes: 0x409b });
  cpu.setSegment(segmentIndex.ss,
    { selector: 16, base: 0n, limit: 0xffff_ffff, attributes: 0xc093 });
  cpu.flushTlb();
  cpu.sync();
  return machine;
}

interface Outcome {
  readonly vector: number | undefined;
  /** EIP of the exception's frame. */
  readonly at: number;
  readonly esp: number;
  readonly ecx: number;
  readonly flags: number;
}

function run(machine: TestMachine, text: string): Outcome {
  const { cpu, ram, view } = machine;
  ram.set(assemble(text, { bits: 32, origin: 0 }), base);
  cpu.rip = 0n;
  cpu.setGpr(4, BigInt(stackTop));
  assert.equal(cpu.run(1000), "halt");
  const number = Number(cpu.rip) - 1 - handler - 0x6000;
  if (number < 0 || number >= 32) {
    return { vector: undefined, at: Number(cpu.rip), esp: cpu.gpr32(4), ecx: cpu.gpr32(1),
      flags: cpu.flags };
  }
  const esp = cpu.gpr32(4);
  assert.equal(view.getUint32(esp, true), 0, "error code");
  return {
    vector: number, at: view.getUint32(esp + 4, true), esp: esp + 16, ecx: cpu.gpr32(1),
    flags: view.getUint32(esp + 12, true),
  };
}

const beyond = 0x1400; // Another page, and behind the limit of most tests here.

for (const [name, transfer] of [
  ["JMP rel32", "jmp 0x1400"], ["JMP within the page", "jmp 0x700"],
  ["JMP r32", "mov eax, 0x1400\njmp eax"], ["Jcc", "stc\njc 0x1400"],
  ["Jcc within the page", "stc\njc short outside"], ["CALL rel32", "call 0x1400"],
  ["CALL r32", "mov eax, 0x1400\ncall eax"], ["LOOP", "loop outside"], ["JECXZ", "jecxz outside"],
] as const) {
  assemblyTest(`${name} beyond the limit faults where it stands`, () => {
    const counted = name === "LOOP";
    const machine = shortSegment(counted || name === "JECXZ" || name.endsWith("page")
      ? 0x3f : 0xfff);
    const { cpu, view } = machine;
    view.setUint32(stackTop - 4, 0x5555_5555, true);
    const before = cpu.flags;
    const outcome = run(machine, `
      mov ecx, ${counted ? 5 : 0}
      ${transfer.includes("\n") ? transfer.split("\n")[0] ?? "" : ""}
      here: ${transfer.split("\n").at(-1) ?? ""}
      hlt
      times 0x50 - ($ - $$) nop
      outside: hlt
    `);
    const setUp = assemble(`
      mov ecx, 0
      ${transfer.includes("\n") ? transfer.split("\n")[0] ?? "" : ""}
    `, { bits: 32, origin: 0 }).length;
    assert.equal(outcome.vector, vector.gp);
    assert.equal(outcome.at, setUp, "at the transfer itself");
    assert.equal(outcome.esp, stackTop, "ESP has not moved");
    assert.equal(outcome.ecx, counted ? 5 : 0);
    assert.equal((outcome.flags ^ before) & ~(eflags.cf | eflags.rf), 0);
  });
}

assemblyTest("RET beyond the limit leaves its stack as it was", () => {
  for (const ret of ["ret", "ret 8"]) {
    const outcome = run(shortSegment(0xfff), `push dword ${beyond}\nhere: ${ret}`);
    assert.deepEqual([outcome.vector, outcome.at, outcome.esp], [vector.gp, 5, stackTop - 4]);
  }
});

assemblyTest("a branch that is not taken may point anywhere", () => {
  const outcome = run(shortSegment(0x3f), "clc\njc 0x1400\nmov ecx, 1\nloop 0x70\nhlt");
  assert.equal(outcome.vector, undefined);
});

assemblyTest("code that runs beyond the limit faults at the first instruction that does", () => {
  const text = "times 0x3e nop\nmov eax, ebx\nnop\nhlt";
  const inside = run(shortSegment(0x41), text);
  assert.deepEqual([inside.vector, inside.at], [undefined, 0x42]);
  const behind = run(shortSegment(0x3f), text);
  assert.deepEqual([behind.vector, behind.at], [vector.gp, 0x40]);
  const across = run(shortSegment(0x3e), text);
  assert.deepEqual([across.vector, across.at], [vector.gp, 0x3e], "its second byte is outside");
});

assemblyTest("a loop runs in a segment that ends in its page", () => {
  const outcome = run(shortSegment(0x0f), "mov ecx, 100\nagain: loop again\nhlt");
  assert.deepEqual([outcome.vector, outcome.ecx], [undefined, 0]);
});

assemblyTest("a narrower segment over code that ran before is checked too", () => {
  const narrow = (text: string) => {
    const machine = shortSegment(0xffff);
    // A descriptor for the same code that ends at 13FF.
    machine.view.setBigUint64(0x3020, 0x0040_9b01_0000_13ffn, true);
    return run(machine, `
        call 0x1410
        jmp 0x20:inside
      inside: ${text}
        times 0x13fe - ($ - $$) nop
        nop
        nop
        times 0x1410 - ($ - $$) nop
        ret
    `);
  };
  const jumps = narrow("jmp 0x1400");
  assert.deepEqual([jumps.vector, jumps.at], [vector.gp, 12]);
  const falls = narrow("jmp 0x13fe");
  assert.deepEqual([falls.vector, falls.at], [vector.gp, 0x1400]);
});
