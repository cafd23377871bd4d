/** Wraps a program into a 32-bit ELF executable (System V ABI) with a multiboot header. */

export const loadAddress = 0x10_0000;
const headerBytes = 52;
const programHeaderBytes = 32;
const codeAt = 0x1000; // The multiboot header, first in the code, must lie within 8 KiB.

export interface Program {
  readonly code: Uint8Array;
  readonly entry: number;
  /** Memory that the program wants empty. */
  readonly scratch: { readonly start: number; readonly sizeBytes: number };
}

/** The header that tells a loader what this is (Multiboot Specification 0.6.96 §3.1). */
export function multibootHeader(): readonly number[] {
  const magic = 0x1bad_b002;
  const flags = 0;
  return [magic, flags, -(magic + flags) >>> 0];
}

export function writeElf(program: Program): Uint8Array {
  const file = new Uint8Array(codeAt + program.code.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]); // ELF, 32 bits, little-endian, version 1.
  const words: readonly (readonly [number, number])[] = [
    [16, 2], [18, 3], [40, headerBytes], [42, programHeaderBytes], [44, 2], // Executable, i386.
  ];
  words.forEach(([at, value]) => view.setUint16(at, value, true));
  view.setUint32(20, 1, true);
  view.setUint32(24, program.entry, true);
  view.setUint32(28, headerBytes, true);
  const segment = (index: number, values: readonly number[]) => values.forEach((value, place) =>
    view.setUint32(headerBytes + index * programHeaderBytes + place * 4, value, true));
  const { code, scratch } = program;
  // Type, offset, virtual and physical address, size in file and memory, flags, alignment.
  segment(0, [1, codeAt, loadAddress, loadAddress, code.length, code.length, 7, 0x1000]);
  segment(1, [1, 0, scratch.start, scratch.start, 0, scratch.sizeBytes, 6, 0x1000]);
  file.set(code, codeAt);
  return file;
}
