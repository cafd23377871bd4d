/**
 * A guest that keeps a journal on its disk: entry `k` is a sector full of `k`, at a place that
 * follows from `k`. When it starts it reads all places, and each must hold the latest entry that
 * belongs there, up to the highest one: it prints `V` and that one, or `F`. Then it writes one
 * entry after the other and prints `W` and the number of each once the disk has it. It accepts no
 * FLUSH, so that a write that was answered is stable.
 */
import type { Assembler } from "../../src/runner/builtin/assembler.ts";
import { emitDiskDriver, requestType } from "../../src/runner/builtin/disk-test.ts";
import { buildGuest, emitSetUp } from "../../src/runner/builtin/guest.ts";

const places = 1024;
/** More than a cluster of 64 KiB apart, so that an image has to grow for each. */
const strideSectors = 136;
export const journalBytes = (places * strideSectors + 1) * 512;

const bufferAt = 0x22_0000;
/** The entry found at each place. */
const tableAt = 0x22_1000;
const wordsInSector = 128;

export function journalGuest(): Uint8Array {
  return buildGuest((a) => {
    a.label("longMode");
    emitSetUp(a);
    a.call("diskSetUp");
    emitRead(a);
    emitVerify(a);
    emitWrite(a);
    emitEnds(a);
    emitDiskDriver(a);
  });
}

/** R8: the highest entry. R9: the place. */
function emitRead(a: Assembler): void {
  a.moveImmediate("r8", 0);
  a.moveImmediate("r9", 0);
  a.label("readPlace");
  callAtPlace(a, requestType.read);
  a.jump("failed", "ne");
  // All words of a sector are alike, or a write was torn.
  a.moveImmediate("rsi", bufferAt);
  a.load("rax", { base: "rsi" }, 32);
  a.moveImmediate("rcx", wordsInSector);
  a.label("readWord");
  a.load("rbx", { base: "rsi" }, 32);
  a.arithmetic("cmp", "rax", "rbx", 32);
  a.jump("failed", "ne");
  a.arithmeticImmediate("add", "rsi", 4);
  a.arithmeticImmediate("sub", "rcx", 1);
  a.jump("readWord", "ne");
  a.moveImmediate("rdi", tableAt);
  a.store({ base: "rdi", index: "r9", scale: 4 }, "rax", 32);
  a.arithmetic("cmp", "rax", "r8", 32);
  a.jump("notHigher", "be");
  a.move("r8", "rax", 32);
  a.label("notHigher");
  a.arithmeticImmediate("add", "r9", 1);
  a.arithmeticImmediate("cmp", "r9", places);
  a.jump("readPlace", "b");
}

/** Going back from the highest entry, every place has the one that was written there last. */
function emitVerify(a: Assembler): void {
  a.move("r10", "r8", 32);
  a.moveImmediate("rcx", places);
  a.moveImmediate("rdi", tableAt);
  a.label("verifyEntry");
  a.test("r10", "r10");
  a.jump("verifyEmpty", "e");
  a.move("r11", "r10", 32);
  a.arithmeticImmediate("sub", "r11", 1);
  a.arithmeticImmediate("and", "r11", places - 1);
  a.load("rax", { base: "rdi", index: "r11", scale: 4 }, 32);
  a.arithmetic("cmp", "rax", "r10", 32);
  a.jump("failed", "ne");
  a.arithmeticImmediate("sub", "r10", 1);
  a.arithmeticImmediate("sub", "rcx", 1);
  a.jump("verifyEntry", "ne");
  a.label("verifyEmpty");
  printEntry(a, "V", "r8");
}

function emitWrite(a: Assembler): void {
  a.label("nextEntry");
  a.arithmeticImmediate("add", "r8", 1);
  a.move("r9", "r8", 32);
  a.arithmeticImmediate("sub", "r9", 1);
  a.arithmeticImmediate("and", "r9", places - 1);
  a.moveImmediate("rdi", bufferAt);
  a.moveImmediate("rcx", wordsInSector);
  a.label("fillWord");
  a.store({ base: "rdi" }, "r8", 32);
  a.arithmeticImmediate("add", "rdi", 4);
  a.arithmeticImmediate("sub", "rcx", 1);
  a.jump("fillWord", "ne");
  callAtPlace(a, requestType.write);
  a.jump("failed", "ne");
  printEntry(a, "W", "r8");
  a.jump("nextEntry");
}

function emitEnds(a: Assembler): void {
  a.label("failed");
  printEntry(a, "F", "r9");
  a.label("halted");
  a.plain("hlt");
  a.jump("halted");
  a.label("newLine");
  a.text("\n");
}

function callAtPlace(a: Assembler, type: number): void {
  a.move("rsi", "r9", 32);
  a.moveImmediate("rax", strideSectors);
  a.multiply("rsi", "rax", 32);
  a.arithmeticImmediate("add", "rsi", 1);
  a.moveImmediate("rdi", type);
  a.moveImmediate("rdx", bufferAt);
  a.call("request");
}

function printEntry(a: Assembler, letter: string, entry: "r8" | "r9"): void {
  a.moveImmediate("rcx", letter.charCodeAt(0));
  a.call("putCharacter");
  a.move("rbx", entry, 32);
  a.call("printHex");
  a.moveImmediate("rsi", "newLine");
  a.call("print");
}
