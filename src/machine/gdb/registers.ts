/** The processor's registers as gdb numbers them (gdb/features/i386/64bit-core.xml). */
import type { RegisterName, SegmentName, Vcpu } from "../../vmm/hypervisor.ts";

interface Row {
  readonly name: string;
  readonly bits: 32 | 64 | 80;
  readonly type: string;
  readonly from?: RegisterName | SegmentName;
}

const general = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const;
const segments = ["cs", "ss", "ds", "es", "fs", "gs"] as const;
const x87Words = ["fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"] as const;

const typeOf: Readonly<Record<string, string>> = { rbp: "data_ptr", rsp: "data_ptr" };

const rows: readonly Row[] = [
  ...general.map((name): Row => ({ name, bits: 64, type: typeOf[name] ?? "int64", from: name })),
  { name: "rip", bits: 64, type: "code_ptr", from: "rip" },
  { name: "eflags", bits: 32, type: "int32", from: "rflags" },
  ...segments.map((name): Row => ({ name, bits: 32, type: "int32", from: name })),
  // gdb asks for these by name; what they hold is not told.
  ...Array.from({ length: 8 }, (_, number): Row =>
    ({ name: `st${number}`, bits: 80, type: "i387_ext" })),
  ...x87Words.map((name): Row => ({ name, bits: 32, type: "int" })),
];

export const targetDescription = `<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd">`
  + `<target version="1.0"><architecture>i386:x86-64</architecture>`
  + `<feature name="org.gnu.gdb.i386.core">${rows.map(({ name, bits, type }) =>
    `<reg name="${name}" bitsize="${bits}" type="${type}"/>`).join("")}</feature></target>`;

function isSegment(name: RegisterName | SegmentName): name is SegmentName {
  return name.length === 2 && name.endsWith("s");
}

function hexOf({ bits, from }: Row, vcpu: Vcpu): string {
  if (from === undefined) {
    return "x".repeat(bits / 4);
  }
  const value = isSegment(from) ? BigInt(vcpu.segment(from).selector) : vcpu.register(from);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes.toString("hex", 0, bits / 8);
}

/** All registers, for `g`. */
export function readAll(vcpu: Vcpu): string {
  return rows.map((row) => hexOf(row, vcpu)).join("");
}

/** One register, for `p`; undefined where there is none of this number. */
export function readOne(vcpu: Vcpu, number: number): string | undefined {
  const row = rows[number];
  return row && hexOf(row, vcpu);
}

/** Takes a register from hexadecimal; false where that cannot be. Selectors stay as they are:
 * loading one would be an access to a descriptor table, which may fault. */
export function writeOne(vcpu: Vcpu, number: number, hex: string): boolean {
  const row = rows[number];
  if (row === undefined || hex.length !== row.bits / 4) {
    return false;
  }
  if (row.from !== undefined && !isSegment(row.from) && /^[0-9a-f]+$/i.test(hex)) {
    const bytes = Buffer.alloc(8);
    bytes.write(hex, "hex");
    const value = bytes.readBigUInt64LE();
    if (value !== vcpu.register(row.from)) {
      vcpu.setRegister(row.from, value);
    }
  }
  return true;
}

/** The counterpart of `readAll`, for `G`. */
export function writeAll(vcpu: Vcpu, hex: string): boolean {
  let at = 0;
  for (const [number, { bits }] of rows.entries()) {
    if (at >= hex.length) {
      break;
    }
    if (!writeOne(vcpu, number, hex.slice(at, at + bits / 4))) {
      return false;
    }
    at += bits / 4;
  }
  return true;
}
