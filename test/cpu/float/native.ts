/**
 * The processor of this machine as an oracle: native-fpu.c, compiled when a test needs it, runs
 * one instruction per record. The layout below is that of `struct record` there.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "../../support/harness.ts";
import { testFile } from "../../support/paths.ts";

export const recordBytes = 368;

/** Offsets in a record. */
export const at = {
  codeLength: 0, mxcsr: 4, rflags: 8, code: 16, xmm: 32, rax: 80, signal: 88, signalCode: 92,
  fsave: 96, memory: 208,
} as const;

export const signalFloat = 8;
export const signalIllegal = 4;

/** How many cases a file runs: a slice of a few seconds, or what `CASES` says. */
export function caseCount(slice: number): number {
  return process.env["CASES"] ? Number(process.env["CASES"]) : slice;
}

/** Many records in one buffer; the first four bytes are their number. */
export class NativeBatch {
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(count: number, source?: Uint8Array) {
    this.count = count;
    this.bytes = source ?? new Uint8Array(4 + count * recordBytes);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    if (source === undefined) {
      this.view.setUint32(0, count, true);
    }
  }

  /** Where record `index` begins in `view`. */
  base(index: number): number {
    return this.#first + index * recordBytes;
  }

  get #first(): number {
    return this.bytes.byteLength - this.count * recordBytes;
  }

  /** Sets the instruction bytes and the neutral values of everything else. */
  start(index: number, code: readonly number[]): number {
    const base = this.base(index);
    this.view.setUint8(base + at.codeLength, code.length);
    this.bytes.set(code, base + at.code);
    this.view.setUint32(base + at.mxcsr, 0x1f80, true);
    this.view.setBigUint64(base + at.rflags, 2n, true);
    this.view.setUint32(base + at.fsave, 0xffff_037f, true);
    this.view.setUint32(base + at.fsave + 8, 0xffff_ffff, true);
    return base;
  }
}

export interface NativeFpu {
  run(batch: NativeBatch): NativeBatch;
}

/** The oracle, or why there is none here. */
export function nativeFpu(): NativeFpu | string {
  if (process.arch !== "x64" || process.platform !== "linux") {
    return "the host is no x86-64 Linux";
  }
  const folder = mkdtempSync(join(tmpdir(), "tsbhyve-fpu-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, "native-fpu");
  const source = testFile("cpu", "float", "native-fpu.c");
  const built = spawnSync("gcc", ["-O1", "-o", program, source], { encoding: "utf8" });
  if (built.status !== 0) {
    return `gcc does not work: ${built.error?.message ?? built.stderr}`;
  }
  return {
    run(batch) {
      const maxBuffer = batch.count * recordBytes + 4096;
      const answer = spawnSync(program, [], { input: batch.bytes, maxBuffer });
      if (answer.status !== 0 || answer.stdout.length !== batch.count * recordBytes) {
        throw new Error(`native-fpu failed: ${answer.signal ?? answer.status}`);
      }
      return new NativeBatch(batch.count, answer.stdout);
    },
  };
}
