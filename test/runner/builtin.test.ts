import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from "iced-x86";
import { Assembler } from "../../src/runner/builtin/assembler.ts";
import { loadAddress } from "../../src/runner/builtin/elf.ts";
import { builtinGuest } from "../../src/runner/builtin/guest.ts";
import {
  answerSector, fnvText, markerSector, ruleFactor,
} from "../../src/runner/builtin/marker.ts";
import { assert, test } from "../support/harness.ts";

/** What another decoder reads in what `emit` assembles at 0x1000. */
function read(emit: (assembler: Assembler) => void, bits: 32 | 64 = 64): readonly string[] {
  const assembler = new Assembler(0x1000);
  emit(assembler);
  const decoder = new Decoder(bits, assembler.finish(), DecoderOptions.None);
  decoder.ip = 0x1000n;
  const formatter = new Formatter(FormatterSyntax.Nasm);
  const lines: string[] = [];
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    lines.push(formatter.format(instruction));
    instruction.free();
  }
  formatter.free();
  decoder.free();
  return lines;
}

test("moves and memory operands are what iced-x86 reads", () => {
  assert.deepEqual(read((a) => {
    a.moveImmediate("rax", 0x12345678);
    a.moveImmediate("r12", 7);
    a.move("rbp", "r9");
    a.move("rsi", "rax", 8);
    a.load("rax", { base: "r13", displacement: 2 }, 16);
    a.load("rbx", { base: "rdi", index: "rcx", scale: 4 }, 32);
    a.load("rdi", { base: "rsp" }, 64);
    a.loadZeroExtended("rcx", { base: "rdx", index: "r8" }, 8);
    a.loadZeroExtended("r10", { base: "r12" }, 16);
    a.store({ base: "rbx", displacement: -8 }, "rsi", 64);
    a.store({ base: "rbx" }, "rdi", 8);
    a.storeImmediate({ base: "rcx", displacement: 12 }, 0xabcd, 16);
    a.storeImmediate({ base: "r12" }, 0xff, 8);
  }), [
    "mov eax,12345678h", "mov r12d,7", "mov rbp,r9", "mov sil,al", "mov ax,[r13+2]",
    "mov ebx,[rdi+rcx*4]", "mov rdi,[rsp]", "movzx ecx,byte [rdx+r8]", "movzx r10d,word [r12]",
    "mov [rbx-8],rsi", "mov [rbx],dil", "mov word [rcx+0Ch],0ABCDh", "mov byte [r12],0FFh",
  ]);
});

test("arithmetic is what iced-x86 reads", () => {
  assert.deepEqual(read((a) => {
    a.arithmetic("add", "r13", "r12");
    a.arithmetic("cmp", "rax", "r14", 16);
    a.arithmetic("xor", "rbx", "rax", 32);
    a.arithmeticImmediate("and", "r13", -4096);
    a.arithmeticImmediate("or", "rax", 0x80000001, 32);
    a.arithmeticImmediate("sub", "rcx", 1);
    a.test("rax", "rcx");
    a.multiply("rbx", "rdx", 32);
    a.shift("left", "r13", 4);
    a.shift("right", "rcx", 28, 32);
    a.not("rax");
    a.push("r8");
    a.pop("rbx");
  }), [
    "add r13,r12", "cmp ax,r14w", "xor ebx,eax", "and r13,0FFFFFFFFFFFFF000h",
    "or eax,80000001h", "sub rcx,1", "test rax,rcx", "imul ebx,edx", "shl r13,4", "shr ecx,1Ch",
    "not rax", "push r8", "pop rbx",
  ]);
});

test("jumps reach their labels, before and behind", () => {
  assert.deepEqual(read((a) => {
    a.label("start");
    a.jump("end");
    a.jump("start", "ne");
    a.call("start");
    a.moveImmediate("rsi", "end");
    a.label("end");
    a.plain("ret");
  }), [
    "jmp 0000000000001015h", "jne near 0000000000001000h", "call 0000000000001000h",
    "mov esi,1015h", "ret",
  ]);
});

test("the instructions on the way to long mode are what iced-x86 reads in 32-bit mode", () => {
  assert.deepEqual(read((a) => {
    a.label("here");
    a.loadGdt("here");
    a.fromControl("rax", 4);
    a.toControl(3, "rax");
    a.toSegment("ss", "rax");
    a.plain("wrmsr");
    a.farJump(8, "here");
    a.out(16);
    a.in(32);
    a.out(8);
  }, 32), [
    "lgdt [1000h]", "mov eax,cr4", "mov cr3,eax", "mov ss,eax", "wrmsr", "jmp 8:00001000h",
    "out dx,ax", "in eax,dx", "out dx,al",
  ]);
});

test("a label that is missing, or in two places, is refused", () => {
  const assembler = new Assembler(0);
  assembler.label("twice");
  assert.throws(() => assembler.label("twice"), /twice is in two places/);
  assembler.jump("nowhere");
  assert.throws(() => assembler.finish(), /nowhere is nowhere/);
});

test("the guest is a 32-bit ELF whose multiboot header is in the first 8 KiB", () => {
  const file = builtinGuest();
  const view = new DataView(file.buffer, file.byteOffset);
  assert.equal(view.getUint32(0), 0x7f454c46);
  const programHeaders = view.getUint32(28, true);
  const codeAt = view.getUint32(programHeaders + 4, true);
  assert.equal(view.getUint32(programHeaders + 12, true), loadAddress);
  assert.equal(codeAt < 8192 && view.getUint32(codeAt, true) === 0x1badb002, true);
  const sum = [0, 4, 8].reduce((total, at) => total + view.getUint32(codeAt + at, true), 0);
  assert.equal(sum >>> 0, 0, "magic, flags and checksum add up to zero");
  const entry = view.getUint32(24, true);
  assert.equal(entry > loadAddress && entry < loadAddress + file.length, true);
});

test("the marker sector has mark, nonce and numbers; the answer is its complement", () => {
  const sector = markerSector("0123456789abcdef");
  assert.equal(Buffer.from(sector.subarray(0, 32)).toString(), "tsbhyve built-in0123456789abcdef");
  const view = new DataView(sector.buffer);
  assert.equal(view.getUint32(508, true), Number(BigInt(ruleFactor) * 127n % 2n ** 32n));
  const answer = answerSector("0123456789abcdef");
  assert.equal(answer.every((byte, at) => byte + (sector[at] ?? 0) === 255), true);
  assert.throws(() => markerSector("xyz"), /sixteen hexadecimal digits/);
  // The published test vectors of FNV-1a.
  assert.equal(fnvText(new Uint8Array(0)), "811c9dc5");
  assert.equal(fnvText(Buffer.from("foobar")), "bf9cf968");
});
