/** Many comparisons with iced-x86: random bytes, and every encoding that the rows allow. */
import { rows, type Row } from "../../../src/cpu/isa/table.ts";
import { randomSource } from "../../support/random.ts";
import { DecoderComparison, slotBytes } from "./compare.ts";

export interface Tally {
  agree: number;
  outside: number;
  differ: number;
  /** Kinds of differences: how many, and the first one's bytes. */
  readonly kinds: Map<string, { count: number; example: string }>;
}

const kindsMax = 1000;
const modes = [64, 32, 16] as const;
const slots = 8192;

export function newTally(): Tally {
  return { agree: 0, outside: 0, differ: 0, kinds: new Map() };
}

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
  .join(" ");

function note(tally: Tally, why: string, bytes: Uint8Array): void {
  const kind = tally.kinds.get(why);
  if (kind !== undefined) {
    kind.count += 1;
  } else if (tally.kinds.size < kindsMax) {
    tally.kinds.set(why, { count: 1, example: hex(bytes.subarray(0, slotBytes)) });
  }
}

function checkAll(bytes: Uint8Array, count: number, bits: 16 | 32 | 64, step: number,
  tally: Tally): void {
  const comparison = new DecoderComparison(bytes, bits);
  for (let index = 0; index < count; index += 1) {
    const verdict = comparison.check(index * step);
    tally[verdict] += 1;
    if (verdict === "differ") {
      note(tally, `${bits}: ${comparison.why}`, bytes.subarray(index * step));
    }
  }
  comparison.free();
}

/** At least `count` random byte strings, with more prefixes and escapes than chance gives. */
export function compareRandom(count: number, seed: number, tally: Tally): void {
  const random = randomSource(seed);
  const favoured = [0x0f, 0x0f, 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x48, 0x41, 0x64, 0x2e, 0x38, 0x3a,
    0xc4, 0xc4, 0xc5, 0xe2, 0xe3];
  for (let done = 0, round = 0; done < count; done += slots, round += 1) {
    const bytes = new Uint8Array(slots + slotBytes);
    for (let index = 0; index < bytes.length; index += 1) {
      const word = random();
      bytes[index] = (word & 0x1c00) === 0 ? favoured[(word >>> 16) % favoured.length] ?? 0 : word;
    }
    checkAll(bytes, slots, modes[round % 3] ?? 64, 1, tally);
  }
}

const legacyPrefixes: readonly (readonly number[])[] = [
  [], [0x66], [0x67], [0xf3], [0xf2], [0xf0], [0x66, 0x67], [0x66, 0xf3], [0x66, 0xf2], [0x64],
  [0x65, 0x66], [0x3e], [0x2e, 0x67], [0xf0, 0x66], [0xf2, 0xf3], [0x26, 0x36],
];
const rexPrefixes = Array.from({ length: 16 }, (_, index) => [0x40 + index]);
const longPrefixes = [
  ...legacyPrefixes, ...rexPrefixes, [0x66, 0x48], [0x66, 0x47], [0x67, 0x4f], [0xf0, 0x49],
  [0xf3, 0x48], [0xf2, 0x4d], [0x48, 0x66], [0x64, 0x67, 0x4a],
];

const isByte = (prefix: Row["prefix"]): prefix is "66" | "F2" | "F3" =>
  prefix === "66" || prefix === "F2" || prefix === "F3";

function opcodeBytes(row: Row): number[] {
  const mandatory = !isByte(row.prefix)
    ? [] : [parseInt(row.prefix, 16)];
  const map = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][row.map] ?? [];
  return [...mandatory, ...map, row.opcode];
}

function* modrmBytes(row: Row): Generator<number> {
  for (let modrm = 0; modrm < (row.hasModrm ? 256 : 1); modrm += 1) {
    if ((row.reg === undefined || row.reg === ((modrm >> 3) & 7))
      && (row.rm === undefined || row.rm === (modrm & 7))) {
      yield modrm;
    }
  }
}

/** The bytes up to the opcode of a row, and whether all of its SIB bytes shall follow. */
interface Start {
  readonly bytes: readonly number[];
  readonly plain: boolean;
}

function* legacyStarts(row: Row, bits: 16 | 32 | 64): Generator<Start> {
  const [mandatory, opcode] = !isByte(row.prefix)
    ? [[], opcodeBytes(row)] : [opcodeBytes(row).slice(0, 1), opcodeBytes(row).slice(1)];
  for (const prefixes of bits === 64 ? longPrefixes : legacyPrefixes) {
    yield { bytes: [...mandatory, ...prefixes, ...opcode], plain: prefixes.length === 0 };
  }
}

const vexPrefixes: readonly (readonly number[])[] = [
  [], [0x67], [0x64], [0x3e], [0x66], [0xf3], [0xf2], [0xf0], [0x48], [0x40, 0x67],
];

/** Behind VEX: its fields R, X, B, W, L and vvvv in many combinations. */
function* vexStarts(row: Row): Generator<Start> {
  const implied = ["none", "66", "F3", "F2"].indexOf(row.prefix ?? "none");
  for (const prefixes of vexPrefixes) {
    const plain = prefixes.length === 0;
    for (let fields = 0; fields < 512; fields += plain ? 101 : 509) {
      const last = (fields & 0x1f) << 2 | (fields & 0x20) << 2 | implied;
      yield { bytes: [...prefixes, 0xc4, (fields >> 1 & 0xe0) | row.map, last, row.opcode],
        plain: false };
      // Without vvvv, too, which most rows want.
      yield { bytes: [...prefixes, 0xc4, (fields >> 1 & 0xe0) | row.map, last | 0x78, row.opcode],
        plain: false };
      if (row.map === 1) {
        yield { bytes: [...prefixes, 0xc5, last | 0x78, row.opcode], plain: false };
      }
    }
  }
}

/** The bytes up to ModRM or SIB of every form of every row; what follows is random. */
function* forms(bits: 16 | 32 | 64): Generator<number[]> {
  for (const row of rows) {
    for (const { bytes, plain } of row.vex ? vexStarts(row) : legacyStarts(row, bits)) {
      for (const modrm of modrmBytes(row)) {
        if (row.vex && row.hasModrm && (modrm + bytes.length) % 3 !== 0) {
          continue; // There are many rows, and chance sees to the others.
        }
        if (!row.hasModrm) {
          yield [...bytes];
        } else if (modrm < 0xc0 && (modrm & 7) === 4 && !row.vex) {
          for (let sib = 0; sib < 256; sib += plain ? 1 : 19) {
            yield [...bytes, modrm, sib];
          }
        } else {
          yield [...bytes, modrm];
        }
      }
    }
  }
}

/** Every form, or one in `stride` of them, chosen at random. */
export function compareForms(stride: number, seed: number, tally: Tally): void {
  const random = randomSource(seed);
  for (const bits of modes) {
    const bytes = new Uint8Array((slots + 1) * slotBytes);
    let used = 0;
    for (const form of forms(bits)) {
      if (stride > 1 && random() % stride !== 0) {
        continue;
      }
      const at = used * slotBytes;
      for (let index = 0; index < slotBytes; index += 1) {
        bytes[at + index] = form[index] ?? random();
      }
      used += 1;
      if (used === slots) {
        checkAll(bytes, used, bits, slotBytes, tally);
        used = 0;
      }
    }
    checkAll(bytes, used, bits, slotBytes, tally);
  }
}

/** The differences, most frequent first. */
export function report(tally: Tally): string {
  const kinds = [...tally.kinds].sort(([, a], [, b]) => b.count - a.count);
  return [
    `${tally.agree} agree, ${tally.outside} outside the model, ${tally.differ} differ`,
    ...kinds.map(([why, { count, example }]) => `  ${why}: ${count} times, first ${example}`),
  ].join("\n");
}
