/**
 * Writes cpio archives of the "newc" kind, which the kernel unpacks into its first root file
 * system (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
import { alignUp } from "../base/bits.ts";

const typeBits = {
  file: 0o100000, folder: 0o040000, charDevice: 0o020000, link: 0o120000,
} as const;

export type CpioEntry =
  | { readonly kind: "folder"; readonly path: string; readonly mode?: number }
  | { readonly kind: "file"; readonly path: string; readonly mode?: number;
    readonly content: Uint8Array | string }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | { readonly kind: "charDevice"; readonly path: string; readonly mode?: number;
    readonly major: number; readonly minor: number };

/** The archive; entries appear in the order given, so folders stand before what is in them. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const parts = entries.flatMap((entry, index) => record(entry, index + 1));
  const end = record({ kind: "file", path: "TRAILER!!!", mode: 0, content: "" }, 0);
  return Buffer.concat([...parts, ...end]);
}

function record(entry: CpioEntry, inode: number): readonly Uint8Array[] {
  const name = Buffer.from(`${entry.path}\0`, "utf8");
  const content = contentOf(entry);
  const device = entry.kind === "charDevice" ? entry : { major: 0, minor: 0 };
  const mode = inode === 0 ? 0 : typeBits[entry.kind] | modeOf(entry);
  // Inode, mode, owner, group, links, time, size, four device numbers, name size, checksum.
  const numbers = [
    inode, mode, 0, 0, 1, 0, content.length, 0, 0, device.major, device.minor, name.length, 0,
  ];
  const fields = numbers.map((value) => value.toString(16).padStart(8, "0")).join("");
  const head = Buffer.concat([Buffer.from(`070701${fields}`, "latin1"), name]);
  return [padded(head), padded(content)];
}

function modeOf(entry: CpioEntry): number {
  switch (entry.kind) {
    case "folder": return entry.mode ?? 0o755;
    case "file": return entry.mode ?? 0o644;
    case "charDevice": return entry.mode ?? 0o600;
    case "link": return 0o777;
  }
}

function contentOf(entry: CpioEntry): Uint8Array {
  switch (entry.kind) {
    case "file": return Buffer.from(entry.content);
    case "link": return Buffer.from(entry.target, "utf8");
    case "folder": case "charDevice": return new Uint8Array(0);
  }
}

/** Headers and contents begin at multiples of four. */
function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(alignUp(bytes.length, 4));
  whole.set(bytes);
  return whole;
}
