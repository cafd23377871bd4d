/** Walks the tables in guest memory as an operating system does. */
import { gpa } from "../../src/base/units.ts";
import type { GuestMemory } from "../../src/fabric/memory.ts";

export function textAt(memory: GuestMemory, at: number, length: number): string {
  return Buffer.from(memory.read(gpa(at), length)).toString("latin1");
}

/** The sum of bytes, which is 0 modulo 256 for a table with a right checksum. */
export function sumAt(memory: GuestMemory, at: number, length: number): number {
  return memory.read(gpa(at), length).reduce((sum, byte) => sum + byte, 0) & 0xff;
}

/** ACPI tables by signature, the FACS and DSDT that the FADT names included. */
export function acpiTables(memory: GuestMemory, rsdp: number): Map<string, number> {
  const tables = new Map<string, number>();
  const note = (at: number) => tables.set(textAt(memory, at, 4), at);
  const xsdt = memory.u64(gpa(rsdp + 24));
  note(xsdt);
  note(memory.u32(gpa(rsdp + 16)));
  for (let at = xsdt + 36; at < xsdt + memory.u32(gpa(xsdt + 4)); at += 8) {
    note(memory.u64(gpa(at)));
  }
  const fadt = tables.get("FACP") ?? 0;
  note(memory.u32(gpa(fadt + 36)));
  note(memory.u32(gpa(fadt + 40)));
  return tables;
}

export function tableBytes(memory: GuestMemory, at: number): Uint8Array {
  return memory.read(gpa(at), memory.u32(gpa(at + 4)));
}

export interface SmbiosStructure {
  readonly type: number;
  readonly handle: number;
  readonly fields: Uint8Array;
  readonly strings: readonly string[];
}

export function smbiosStructures(memory: GuestMemory, entry: number): SmbiosStructure[] {
  const count = memory.u16(gpa(entry + 28));
  let at = memory.u32(gpa(entry + 24));
  return Array.from({ length: count }, () => {
    const length = memory.u8(gpa(at + 1));
    const structure = {
      type: memory.u8(gpa(at)), handle: memory.u16(gpa(at + 2)),
      fields: memory.read(gpa(at), length), strings: new Array<string>(),
    };
    let next = at + length;
    let text = "";
    do {
      text = textAt(memory, next, 4096).split("\0")[0] ?? "";
      next += text.length + 1;
      if (text !== "") {
        structure.strings.push(text);
      }
    } while (text !== "");
    at = structure.strings.length === 0 ? next + 1 : next;
    return structure;
  });
}
