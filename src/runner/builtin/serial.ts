/** The built-in guest's routines for COM1, a 16550: `serialSetUp`, `print`, `printHex`. */
import type { Assembler } from "./assembler.ts";

const com1 = 0x3f8;
const lineStatus = com1 + 5;
const transmitterEmpty = 1 << 5;

/** Register and value: no interrupts, 115200 baud, 8N1, FIFOs, DTR and RTS. */
const setUp: readonly (readonly [number, number])[] = [
  [1, 0x00], [3, 0x80], [0, 0x01], [1, 0x00], [3, 0x03], [2, 0xc7], [4, 0x03],
];

export function emitSerial(a: Assembler): void {
  a.label("serialSetUp");
  for (const [register, value] of setUp) {
    a.moveImmediate("rdx", com1 + register);
    a.moveImmediate("rax", value);
    a.out(8);
  }
  a.plain("ret");
  emitPutCharacter(a);
  emitPrint(a);
  emitPrintHex(a);
}

/** The character in CL; changes RAX and RDX. */
function emitPutCharacter(a: Assembler): void {
  a.label("putCharacter");
  a.moveImmediate("rdx", lineStatus);
  a.label("putCharacterWait");
  a.in(8);
  a.arithmeticImmediate("and", "rax", transmitterEmpty, 32);
  a.jump("putCharacterWait", "e");
  a.moveImmediate("rdx", com1);
  a.move("rax", "rcx");
  a.out(8);
  a.plain("ret");
}

/** The text at RSI, to its NUL; `printCount` prints RDI bytes. */
function emitPrint(a: Assembler): void {
  a.label("print");
  a.loadZeroExtended("rcx", { base: "rsi" }, 8);
  a.test("rcx", "rcx");
  a.jump("printEnd", "e");
  a.call("putCharacter");
  a.arithmeticImmediate("add", "rsi", 1);
  a.jump("print");
  a.label("printEnd");
  a.plain("ret");
  a.label("printCount");
  a.loadZeroExtended("rcx", { base: "rsi" }, 8);
  a.call("putCharacter");
  a.arithmeticImmediate("add", "rsi", 1);
  a.arithmeticImmediate("sub", "rdi", 1);
  a.jump("printCount", "ne");
  a.plain("ret");
}

/** Eight digits of RBX, the high ones first; changes RBX. */
function emitPrintHex(a: Assembler): void {
  a.label("printHex");
  a.moveImmediate("rdi", 8);
  a.label("printHexDigit");
  a.move("rcx", "rbx", 32);
  a.shift("right", "rcx", 28, 32);
  a.moveImmediate("rdx", "hexDigits");
  a.loadZeroExtended("rcx", { base: "rdx", index: "rcx" }, 8);
  a.call("putCharacter");
  a.shift("left", "rbx", 4, 32);
  a.arithmeticImmediate("sub", "rdi", 1);
  a.jump("printHexDigit", "ne");
  a.plain("ret");
  a.label("hexDigits");
  a.text("0123456789abcdef");
}
