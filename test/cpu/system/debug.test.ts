/** Debug registers and single-step as a debugger in the guest sees them (Intel SDM 3B §17). */
import { vector } from "../../../src/cpu/layout.ts";
import { assert } from "../../support/harness.ts";
import { assemble, assemblyTest } from "../../support/nasm.ts";
import { enterLongMode, freshMachine, idtBase, setGate, tssBase } from "./machine-code.ts";

const codeAt = 0x8000, handlerAt = 0x9000, stackTop = 0xe000, dataAt = 0xa000;

/** R/W bits of DR7. */
const on = { execution: 0, writes: 1, ports: 2, accesses: 3 } as const;
/** LEN bits of DR7. */
const lengthBits: Readonly<Record<number, number>> = { 1: 0, 2: 1, 8: 2, 4: 3 };
const step = 0x4000;

interface Watch {
  readonly at: number;
  readonly kind: keyof typeof on;
  readonly length?: number;
  /** CR4.DE. */
  readonly extensions?: boolean;
}

interface Trap {
  /** Label or offset behind which the frame's RIP points. */
  readonly rip: number;
  readonly dr6: number;
  readonly rcx: number;
}

/** Runs 64-bit code under one breakpoint; every #DB there was, at most eight. */
function traps(text: string, watch: Watch | undefined, flags = 0): Trap[] {
  const machine = freshMachine();
  enterLongMode(machine);
  const { cpu, ram, view } = machine;
  setGate(machine, vector.db, handlerAt);
  // A stack of its own, so that the handler does not touch what is watched.
  view.setUint8(idtBase + vector.db * 16 + 4, 1);
  view.setBigUint64(tssBase + 36, 0xd000n, true);
  // Notes RIP, DR6 and RCX of each trap at [r15], clears DR6, and goes on.
  ram.set(assemble(`
    push rax
    mov rax, [rsp + 8]
    mov [r15], rax
    mov rax, dr6
    mov [r15 + 8], rax
    mov [r15 + 16], rcx
    add r15, 24
    xor eax, eax
    mov dr6, rax
    pop rax
    or dword [rsp + 16], 0x10000   ; RF
    iretq
  `, { bits: 64, origin: handlerAt }), handlerAt);
  const length = lengthBits[watch?.length ?? 1] ?? 0;
  const control = watch === undefined ? 0 : 1 | on[watch.kind] << 16 | length << 18;
  ram.set(assemble(`
    mov eax, ${watch?.at ?? 0}
    mov dr0, rax
    ${watch?.extensions ? "mov rax, cr4\nor eax, 8\nmov cr4, rax" : ""}
    push ${flags | 2}
    popfq
    ${watch === undefined ? "" : `mov eax, ${control}\nmov dr7, rax`}
    jmp start
    times 0x80 - ($ - $$) nop
  start:
    ${text}
  over:
    xor eax, eax
    mov dr7, rax
    hlt
  `, { bits: 64, origin: codeAt }), codeAt);
  cpu.rip = BigInt(codeAt);
  cpu.setGpr(4, BigInt(stackTop));
  cpu.setGpr(15, 0x1_0000n);
  assert.equal(cpu.run(5000), "halt");
  const count = (Number(cpu.gpr(15)) - 0x1_0000) / 24;
  return Array.from({ length: Math.min(count, 8) }, (_, index) => {
    const at = 0x1_0000 + index * 24;
    return {
      rip: view.getUint32(at, true) - codeAt - 0x80, dr6: view.getUint32(at + 8, true) & 0xe00f,
      rcx: view.getUint32(at + 16, true),
    };
  });
}

const hits = (text: string, watch: Watch) => traps(text, watch).map(({ rip, dr6 }) => [rip, dr6]);

assemblyTest("a data breakpoint sees what PUSH, CALL and ENTER write to the stack", () => {
  const slot: Watch = { at: stackTop - 8, kind: "writes", length: 8 };
  assert.deepEqual(hits("push rax\nnop", slot), [[1, 1]]);
  assert.deepEqual(hits("pushfq\nnop", slot), [[1, 1]]);
  assert.deepEqual(hits("call .on\n.on: nop", slot), [[5, 1]]);
  assert.deepEqual(hits("mov rbp, rsp\nenter 16, 0\nnop", slot), [[7, 1]]);
  assert.deepEqual(hits("nop\nnop", slot), []);
  assert.deepEqual(hits("sub rsp, 8\npush rax", slot), [], "the word below is another");
});

assemblyTest("a data breakpoint on writes passes over reads of the stack, on both not", () => {
  const read: Watch = { at: stackTop - 8, kind: "accesses", length: 8 };
  const text = "sub rsp, 8\npop rax\nnop";
  assert.deepEqual(hits(text, read), [[5, 1]]);
  assert.deepEqual(hits(text, { ...read, kind: "writes" }), []);
  assert.deepEqual(hits("mov rbp, rsp\nsub rbp, 8\nsub rsp, 16\nleave\nnop", read), [[12, 1]]);
});

assemblyTest("a data breakpoint stops a repeated string behind the element that touched it", () => {
  const text = `mov edi, ${dataAt}\nmov ecx, 4\nrep stosb\nnop`;
  const [trap, ...more] = traps(text, { at: dataAt + 2, kind: "writes" });
  assert.deepEqual([trap?.rip, trap?.dr6, trap?.rcx, more.length], [10, 1, 1, 0]);
  const moved = `mov esi, ${dataAt}\nmov edi, ${dataAt + 256}\nmov ecx, 2\nrep movsq\nnop`;
  assert.deepEqual(traps(moved, { at: dataAt + 8, kind: "accesses", length: 8 })
    .map(({ rip, rcx }) => [rip, rcx]), [[18, 0]]);
  assert.deepEqual(hits(`mov esi, ${dataAt}\nlodsb\nnop`, { at: dataAt, kind: "accesses" }),
    [[6, 1]]);
});

assemblyTest("bit strings and XLAT are seen where they end up", () => {
  assert.deepEqual(hits(`mov ebx, ${dataAt}\nmov eax, 800\nbts [rbx], eax\nnop`,
    { at: dataAt + 100, kind: "writes", length: 4 }), [[13, 1]]);
  assert.deepEqual(hits(`mov ebx, ${dataAt}\nmov eax, 3\nxlatb\nnop`,
    { at: dataAt + 3, kind: "accesses" }), [[11, 1]]);
});

assemblyTest("a port breakpoint needs CR4.DE, and sees IN, OUT and strings", () => {
  const port: Watch = { at: 0x80, kind: "ports", extensions: true };
  assert.deepEqual(hits("out 0x80, al\nnop", port), [[2, 1]]);
  assert.deepEqual(hits("in al, 0x80\nnop", port), [[2, 1]]);
  assert.deepEqual(hits("mov edx, 0x7e\nout dx, eax\nnop", port), [[6, 1]], "7E to 81");
  assert.deepEqual(hits("out 0x81, al\nnop", port), []);
  assert.deepEqual(hits(`mov esi, ${dataAt}\nmov edx, 0x80\noutsb\nnop`, port), [[11, 1]]);
  assert.deepEqual(hits("out 0x80, al\nnop", { ...port, extensions: false }), []);
});

assemblyTest("single-step traps behind every element of a repeated string", () => {
  const steps = traps(`mov edi, ${dataAt}\nmov ecx, 3\nrep stosb\nnop`, undefined, 0x100)
    .filter(({ rip }) => rip >= 10);
  assert.deepEqual(steps.slice(0, 4).map(({ rip, dr6, rcx }) => [rip, dr6, rcx]),
    [[10, step, 3], [10, step, 2], [10, step, 1], [12, step, 0]]);
});

assemblyTest("REPE stops stepping where its comparison fails", () => {
  const steps = traps(`mov edi, ${dataAt}\nmov ecx, 5\nmov byte [rdi + 1], 1\nxor eax, eax
    repe scasb\nnop`, undefined, 0x100).filter(({ rip }) => rip >= 16);
  assert.deepEqual(steps.slice(0, 3).map(({ rip, rcx }) => [rip, rcx]),
    [[16, 5], [16, 4], [18, 3]]);
});

assemblyTest("an execution breakpoint stops in front of its instruction, once", () => {
  assert.deepEqual(hits("nop\nnop\nnop", { at: codeAt + 0x81, kind: "execution" }), [[1, 1]]);
});
