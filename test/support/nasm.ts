/** Machine code from assembly in nasm's notation (Debian package nasm). */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testFolder } from "./folder.ts";
import { assert, skipTest, test } from "./harness.ts";

const hasNasm = spawnSync("nasm", ["-v"]).status === 0;
const folder = testFolder();

export interface AssemblyOptions {
  readonly bits: 16 | 32 | 64;
  /** Where the first byte will lie. */
  readonly origin: number;
}

/** A flat image of the text. */
export function assemble(text: string, { bits, origin }: AssemblyOptions): Uint8Array {
  const source = join(folder.path, "source.asm"), image = join(folder.path, "image.bin");
  writeFileSync(source, `bits ${bits}\norg ${origin}\n${text}\n`);
  const { status, stderr } = spawnSync("nasm", ["-f", "bin", "-o", image, source],
    { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return readFileSync(image);
}

/** A test of assembly; skipped where there is no assembler. */
export function assemblyTest(name: string, body: () => void | Promise<void>): void {
  if (hasNasm) {
    test(name, body);
  } else {
    skipTest(name, "nasm is not installed");
  }
}
