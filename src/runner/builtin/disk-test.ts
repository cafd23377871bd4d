/**
 * The built-in guest's test of its disk: the legacy interface of virtio over PCI (VIRTIO 1.2
 * §4.1.4.10, §2.7), one request at a time, by polling. RBP keeps the device's I/O port, R12 the
 * queue's size, R13 the address of the used ring, R14 the count of requests so far.
 */
import type { Assembler } from "./assembler.ts";
import {
  fnv, markText, nonceAt, nonceBytes, ruleAt, ruleFactor, sectorBytes,
} from "./marker.ts";

const queueAt = 0x20_0000;
const queueSizeMax = 1024; // The ring of this size fills 28 KiB from `queueAt` on.
const headerAt = 0x21_0000;
const statusAt = headerAt + 16;
const markerAt = 0x21_1000;
const answerAt = 0x21_2000;
const readBackAt = 0x21_3000;

const pci = { address: 0xcf8, data: 0xcfc, enable: 0x8000_0000, slotShift: 11 } as const;
const diskIds = 0x1001_1af4; // Transitional virtio-blk.
const decodeAndMaster = 0x5; // I/O ports, and the right to read and write memory.

const port = {
  guestFeatures: 0x04, queuePage: 0x08, queueSize: 0x0c, queueSelect: 0x0e, notify: 0x10,
  status: 0x12, interrupt: 0x13,
} as const;
const driverStatus = { acknowledge: 1, driver: 3, driverOk: 7 } as const;
export const requestType = { read: 0, write: 1 } as const;
const descriptorFlag = { next: 1, write: 2 } as const;
const descriptorBytes = 16;
/** Some seconds on the slowest processor: then the disk is dead. */
const pollsMax = 1 << 24;

export function emitDiskTest(a: Assembler): void {
  a.label("diskTest");
  emitFind(a);
  emitStart(a);
  emitCheckMarker(a);
  emitWriteAnswer(a);
  emitReadBack(a);
  emitVerdict(a);
  emitRequest(a);
  emitConfigAddress(a);
}

/** The driver alone, for other guests: `diskSetUp` and `request`. */
export function emitDiskDriver(a: Assembler): void {
  a.label("diskSetUp");
  emitFind(a);
  emitStart(a);
  a.plain("ret");
  emitRequest(a);
  emitConfigAddress(a);
}

/** The first virtio-blk among the slots of bus 0. */
function emitFind(a: Assembler): void {
  a.moveImmediate("rbx", 0);
  a.label("findSlot");
  a.moveImmediate("rcx", 0x00);
  a.call("configAddress");
  a.in(32);
  a.arithmeticImmediate("cmp", "rax", diskIds, 32);
  a.jump("found", "e");
  a.arithmeticImmediate("add", "rbx", 1);
  a.arithmeticImmediate("cmp", "rbx", 32);
  a.jump("findSlot", "b");
  emitFail(a, "there is no virtio disk");
  a.label("found");
  a.moveImmediate("rcx", 0x10);
  a.call("configAddress");
  a.in(32);
  a.move("rbp", "rax");
  a.arithmeticImmediate("and", "rax", 1, 32);
  a.jump("hasPorts", "ne");
  emitFail(a, "the disk has no I/O ports");
  a.label("hasPorts");
  a.arithmeticImmediate("and", "rbp", 0xfffc, 32);
  a.moveImmediate("rcx", 0x04);
  a.call("configAddress");
  a.in(16);
  a.arithmeticImmediate("or", "rax", decodeAndMaster, 32);
  a.out(16);
}

function emitStart(a: Assembler): void {
  const outPort = (at: number, value: number, width: 8 | 16 | 32) => {
    devicePort(a, at);
    a.moveImmediate("rax", value);
    a.out(width);
  };
  outPort(port.status, 0, 8);
  outPort(port.status, driverStatus.acknowledge, 8);
  outPort(port.status, driverStatus.driver, 8);
  outPort(port.guestFeatures, 0, 32);
  outPort(port.queueSelect, 0, 16);
  devicePort(a, port.queueSize);
  a.moveImmediate("rax", 0);
  a.in(16);
  a.move("r12", "rax");
  a.arithmeticImmediate("sub", "rax", 1, 32); // A size of 0 becomes the largest number.
  a.arithmeticImmediate("cmp", "rax", queueSizeMax, 32);
  a.jump("queueFits", "b");
  emitFail(a, "the disk's queue has no usable size");
  a.label("queueFits");
  // The used ring begins on the page behind descriptors, flags, index and available ring.
  a.move("r13", "r12");
  a.shift("left", "r13", 4);
  a.arithmetic("add", "r13", "r12");
  a.arithmetic("add", "r13", "r12");
  a.arithmeticImmediate("add", "r13", queueAt + 6 + 4095);
  a.arithmeticImmediate("and", "r13", -4096);
  a.moveImmediate("r14", 0);
  outPort(port.queuePage, queueAt / 4096, 32);
  outPort(port.status, driverStatus.driverOk, 8);
}

function emitCheckMarker(a: Assembler): void {
  callRequest(a, requestType.read, 0, markerAt);
  a.jump("markerRead", "e");
  emitFail(a, "sector 0 could not be read");
  a.label("markerRead");
  a.moveImmediate("rsi", "mark");
  a.moveImmediate("rdi", markerAt);
  a.moveImmediate("rcx", nonceAt);
  a.call("compare");
  a.jump("markIsRight", "e");
  emitFail(a, "sector 0 has another mark");
  a.label("mark");
  a.text(markText);
  a.label("markIsRight");
  a.moveImmediate("rcx", ruleAt / 4);
  a.moveImmediate("rdi", markerAt);
  a.moveImmediate("rdx", ruleFactor);
  a.label("checkRule");
  a.move("rax", "rcx", 32);
  a.multiply("rax", "rdx", 32);
  a.load("rbx", { base: "rdi", index: "rcx", scale: 4 }, 32);
  a.arithmetic("cmp", "rax", "rbx", 32);
  a.jump("ruleBroken", "ne");
  a.arithmeticImmediate("add", "rcx", 1);
  a.arithmeticImmediate("cmp", "rcx", sectorBytes / 4);
  a.jump("checkRule", "b");
  a.jump("markerIsRight");
  a.label("ruleBroken");
  emitFail(a, "sector 0 has wrong numbers");
  a.label("markerIsRight");
}

function emitWriteAnswer(a: Assembler): void {
  a.moveImmediate("rcx", sectorBytes / 8);
  a.moveImmediate("rsi", markerAt);
  a.moveImmediate("rdi", answerAt);
  a.label("complement");
  a.load("rax", { base: "rsi" }, 64);
  a.not("rax");
  a.store({ base: "rdi" }, "rax", 64);
  a.arithmeticImmediate("add", "rsi", 8);
  a.arithmeticImmediate("add", "rdi", 8);
  a.arithmeticImmediate("sub", "rcx", 1);
  a.jump("complement", "ne");
  callRequest(a, requestType.write, 1, answerAt);
  a.jump("answerWritten", "e");
  emitFail(a, "sector 1 could not be written");
  a.label("answerWritten");
}

function emitReadBack(a: Assembler): void {
  callRequest(a, requestType.read, 1, readBackAt);
  a.jump("answerRead", "e");
  emitFail(a, "sector 1 could not be read");
  a.label("answerRead");
  a.moveImmediate("rsi", answerAt);
  a.moveImmediate("rdi", readBackAt);
  a.moveImmediate("rcx", sectorBytes);
  a.call("compare");
  a.jump("answerIsRight", "e");
  emitFail(a, "sector 1 came back different");
  a.label("answerIsRight");
}

/** Prints the line with the nonce from the disk and the sum of what was read back. */
function emitVerdict(a: Assembler): void {
  a.moveImmediate("rsi", "passText");
  a.call("print");
  a.moveImmediate("rsi", markerAt + nonceAt);
  a.moveImmediate("rdi", nonceBytes);
  a.call("printCount");
  a.moveImmediate("rcx", 0x20);
  a.call("putCharacter");
  a.moveImmediate("rbx", fnv.start);
  a.moveImmediate("rdx", fnv.prime);
  a.moveImmediate("rsi", readBackAt);
  a.label("sum");
  a.loadZeroExtended("rax", { base: "rsi" }, 8);
  a.arithmetic("xor", "rbx", "rax", 32);
  a.multiply("rbx", "rdx", 32);
  a.arithmeticImmediate("add", "rsi", 1);
  a.arithmeticImmediate("cmp", "rsi", readBackAt + sectorBytes);
  a.jump("sum", "b");
  a.call("printHex");
  a.moveImmediate("rsi", "lineEnd");
  a.call("print");
  a.plain("ret");
  a.label("passText");
  a.text("tsbhyve-check: PASS ");
  a.label("lineEnd");
  a.text("\r\n");
  // RCX bytes at RSI and RDI; ZF tells whether they are equal.
  a.label("compare");
  a.loadZeroExtended("rax", { base: "rsi" }, 8);
  a.loadZeroExtended("rbx", { base: "rdi" }, 8);
  a.arithmetic("cmp", "rax", "rbx");
  a.jump("compared", "ne");
  a.arithmeticImmediate("add", "rsi", 1);
  a.arithmeticImmediate("add", "rdi", 1);
  a.arithmeticImmediate("sub", "rcx", 1);
  a.jump("compare", "ne");
  a.label("compared");
  a.plain("ret");
}

/** Type in RDI, sector in RSI, data in RDX; ZF tells whether the device is content. */
function emitRequest(a: Assembler): void {
  a.label("request");
  a.moveImmediate("rbx", headerAt);
  a.store({ base: "rbx" }, "rdi", 32);
  a.storeImmediate({ base: "rbx", displacement: 4 }, 0, 32);
  a.store({ base: "rbx", displacement: 8 }, "rsi", 64);
  a.storeImmediate({ base: "rbx", displacement: statusAt - headerAt }, 0xff, 8);
  a.moveImmediate("rcx", queueAt);
  const descriptor = (index: number, address: "rbx" | "rdx", length: number, next: number) => {
    const at = index * descriptorBytes;
    a.store({ base: "rcx", displacement: at }, address, 64);
    a.storeImmediate({ base: "rcx", displacement: at + 8 }, length, 32);
    a.storeImmediate({ base: "rcx", displacement: at + 14 }, next, 16);
  };
  descriptor(0, "rbx", 16, 1);
  a.storeImmediate({ base: "rcx", displacement: 12 }, descriptorFlag.next, 16);
  descriptor(1, "rdx", sectorBytes, 2);
  // A read makes the device write: type 0 becomes 2, type 1 becomes 0.
  a.arithmeticImmediate("xor", "rdi", requestType.write, 32);
  a.shift("left", "rdi", 1, 32);
  a.arithmeticImmediate("or", "rdi", descriptorFlag.next, 32);
  a.store({ base: "rcx", displacement: descriptorBytes + 12 }, "rdi", 16);
  a.arithmeticImmediate("add", "rbx", statusAt - headerAt);
  descriptor(2, "rbx", 1, 0);
  a.storeImmediate(
    { base: "rcx", displacement: 2 * descriptorBytes + 12 }, descriptorFlag.write, 16);
  emitOfferAndWait(a);
}

function emitOfferAndWait(a: Assembler): void {
  // The available ring stands behind the descriptors; each entry names descriptor 0.
  a.move("rdi", "r12");
  a.shift("left", "rdi", 4);
  a.arithmetic("add", "rdi", "rcx");
  a.move("rsi", "r12");
  a.arithmeticImmediate("sub", "rsi", 1);
  a.arithmetic("and", "rsi", "r14");
  a.storeImmediate({ base: "rdi", index: "rsi", scale: 2, displacement: 4 }, 0, 16);
  a.arithmeticImmediate("add", "r14", 1);
  a.store({ base: "rdi", displacement: 2 }, "r14", 16);
  devicePort(a, port.notify);
  a.moveImmediate("rax", 0);
  a.out(16);
  a.moveImmediate("rsi", pollsMax);
  a.label("poll");
  // Reading the cause of an interrupt takes it back, so that none stays pending.
  devicePort(a, port.interrupt);
  a.in(8);
  a.load("rax", { base: "r13", displacement: 2 }, 16);
  a.arithmetic("cmp", "rax", "r14", 16);
  a.jump("answered", "e");
  a.plain("pause");
  a.arithmeticImmediate("sub", "rsi", 1);
  a.jump("poll", "ne");
  a.label("answered");
  // Still 0xff if there was no answer.
  a.loadZeroExtended("rax", { base: "rbx" }, 8);
  a.test("rax", "rax");
  a.plain("ret");
}

/** Selects the register CL of the slot in RBX; leaves DX at the data port. */
function emitConfigAddress(a: Assembler): void {
  a.label("configAddress");
  a.move("rax", "rbx");
  a.shift("left", "rax", pci.slotShift, 32);
  a.arithmetic("or", "rax", "rcx", 32);
  a.arithmeticImmediate("or", "rax", pci.enable, 32);
  a.moveImmediate("rdx", pci.address);
  a.out(32);
  a.moveImmediate("rdx", pci.data);
  a.plain("ret");
}

function devicePort(a: Assembler, offset: number): void {
  a.move("rdx", "rbp");
  a.arithmeticImmediate("add", "rdx", offset, 32);
}

/** Leaves ZF set if the device is content. */
function callRequest(a: Assembler, type: number, sector: number, data: number): void {
  a.moveImmediate("rdi", type);
  a.moveImmediate("rsi", sector);
  a.moveImmediate("rdx", data);
  a.call("request");
}

/** Ends the test with a line that says why. */
function emitFail(a: Assembler, why: string): void {
  const label = `why: ${why}`;
  a.moveImmediate("rsi", label);
  a.jump("print"); // Its return is that of the test.
  a.label(label);
  a.text(`tsbhyve-check: FAIL ${why}\r\n`);
}
