/**
 * The built-in guest, for hosts where no Linux kernel can be had: it enters long mode, greets on
 * COM1, tests the virtio disk and powers the machine off through ACPI.
 */
import { Assembler } from "./assembler.ts";
import { emitDiskTest } from "./disk-test.ts";
import { loadAddress, multibootHeader, writeElf } from "./elf.ts";
import { emitSerial } from "./serial.ts";

/** Where the guest keeps what need not be in the file. */
export const scratch = { start: 0x20_0000, sizeBytes: 0x4_0000 } as const;
const stackTop = scratch.start + scratch.sizeBytes;

const pageFlags = { presentWritable: 0x3n, large: 0x80n } as const;
const efer = { number: 0xc000_0080, longMode: 1 << 8 } as const;
const physicalAddressExtension = 1 << 5;
const protectedModeAndPaging = 0x8000_0001;
const selectors = { code: 0x08, data: 0x10 } as const;

/** PM1a control: SLP_EN, and 5 as SLP_TYP, which is S5 in bhyve's tables. */
const powerOff = { port: 0x404, value: (5 << 10) | (1 << 13) } as const;

export function builtinGuest(): Uint8Array {
  return buildGuest((assembler) => {
    emitMain(assembler);
    emitDiskTest(assembler);
  });
}

/** A guest whose part for long mode begins at the label `longMode`; COM1's routines are there. */
export function buildGuest(emitProgram: (assembler: Assembler) => void): Uint8Array {
  const assembler = new Assembler(loadAddress);
  multibootHeader().forEach((value) => assembler.long(value));
  emitEntry(assembler);
  emitProgram(assembler);
  emitSerial(assembler);
  emitTables(assembler);
  return writeElf({ code: assembler.finish(), entry: assembler.addressOf("entry"), scratch });
}

/** From 32-bit protected mode, where a multiboot loader leaves us, to long mode. */
function emitEntry(a: Assembler): void {
  a.label("entry");
  a.plain("cli");
  a.loadGdt("gdtPointer");
  a.fromControl("rax", 4);
  a.arithmeticImmediate("or", "rax", physicalAddressExtension, 32);
  a.toControl(4, "rax");
  a.moveImmediate("rax", "pageMap");
  a.toControl(3, "rax");
  a.moveImmediate("rcx", efer.number);
  a.plain("rdmsr");
  a.arithmeticImmediate("or", "rax", efer.longMode, 32);
  a.plain("wrmsr");
  a.fromControl("rax", 0);
  a.arithmeticImmediate("or", "rax", protectedModeAndPaging, 32);
  a.toControl(0, "rax");
  a.farJump(selectors.code, "longMode");
}

function emitMain(a: Assembler): void {
  a.label("longMode");
  emitSetUp(a);
  a.moveImmediate("rsi", "greeting");
  a.call("print");
  a.call("diskTest");
  a.moveImmediate("rsi", "farewell");
  a.call("print");
  a.moveImmediate("rdx", powerOff.port);
  a.moveImmediate("rax", powerOff.value);
  a.out(16);
  a.label("halted");
  a.plain("hlt");
  a.jump("halted");
  a.label("greeting");
  a.text("\r\ntsbhyve built-in guest: long mode, 64 bits.\r\n");
  a.label("farewell");
  a.text("Powering off.\r\n");
}

/** Segments and a stack for long mode, and COM1. */
export function emitSetUp(a: Assembler): void {
  a.moveImmediate("rax", selectors.data);
  a.toSegment("ds", "rax");
  a.toSegment("es", "rax");
  a.toSegment("ss", "rax");
  a.moveImmediate("rsp", stackTop);
  a.call("serialSetUp");
}

/** Descriptors, and page tables that map the first GiB to itself in pages of 2 MiB. */
function emitTables(a: Assembler): void {
  a.align(8);
  a.label("gdt");
  a.quad(0n);
  a.quad(0x00af_9b00_0000_ffffn); // Code of 64 bits.
  a.quad(0x00cf_9300_0000_ffffn);
  a.label("gdtPointer");
  a.data([23, 0]);
  a.long("gdt");
  for (const table of ["pageMap", "pointers"]) {
    a.align(4096);
    a.label(table);
    // Its one entry points to the table that lies one page behind.
    a.quad(BigInt(a.addressOf(table) + 4096) | pageFlags.presentWritable);
  }
  a.align(4096);
  a.label("directory");
  for (let page = 0n; page < 512n; page++) {
    a.quad((page << 21n) | pageFlags.large | pageFlags.presentWritable);
  }
}
