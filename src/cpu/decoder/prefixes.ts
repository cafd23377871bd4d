/** What stands in front of an opcode: legacy prefixes, REX and VEX (Intel SDM 2A §2.1 to §2.3). */
import type { MandatoryPrefix, OpcodeMap } from "../isa/table.ts";
import { segmentIndex } from "../layout.ts";
import type { Cursor } from "./cursor.ts";

/** No instruction is longer (SDM 2A §2.3.11). */
export const instructionBytesMax = 15;

/** What only a VEX prefix says; its other fields are those of REX and legacy prefixes. */
export interface Vex {
  /** VEX.L. */
  readonly long: boolean;
  /** The register in VEX.vvvv; 0 where there is none. Bit 3 names none outside 64-bit mode. */
  readonly register: number;
}

export interface Prefixes {
  operandSize: boolean;
  addressSize: boolean;
  repeat: 0 | 0xf2 | 0xf3;
  locked: boolean;
  segment: number;
  rex: number;
  vex: Vex | undefined;
}

export const noPrefixes: Readonly<Prefixes> = {
  operandSize: false, addressSize: false, repeat: 0, locked: false, segment: -1, rex: 0,
  vex: undefined,
};

const segmentPrefixes = new Map([
  [0x26, segmentIndex.es], [0x2e, segmentIndex.cs], [0x36, segmentIndex.ss],
  [0x3e, segmentIndex.ds], [0x64, segmentIndex.fs], [0x65, segmentIndex.gs],
]);

export function readPrefixes(cursor: Cursor, long: boolean): Prefixes {
  const prefixes: Prefixes = { ...noPrefixes };
  for (;;) {
    const byte = cursor.peek();
    const segment = segmentPrefixes.get(byte);
    if (cursor.short || cursor.at >= instructionBytesMax) {
      return prefixes;
    } else if (segment !== undefined) {
      // In 64-bit mode only FS and GS count (SDM 1 §3.3.7.1); the others undo nothing.
      if (!long || segment >= segmentIndex.fs) {
        prefixes.segment = segment;
      }
      prefixes.rex = 0;
    } else if (byte === 0x66) {
      prefixes.operandSize = true;
      prefixes.rex = 0;
    } else if (byte === 0x67) {
      prefixes.addressSize = true;
      prefixes.rex = 0;
    } else if (byte === 0xf0) {
      prefixes.locked = true;
      prefixes.rex = 0;
    } else if (byte === 0xf2 || byte === 0xf3) {
      prefixes.repeat = byte;
      prefixes.rex = 0;
    } else if (long && (byte & 0xf0) === 0x40) {
      prefixes.rex = byte;
    } else {
      return prefixes;
    }
    cursor.u8();
  }
}

const threeBytes = 0xc4, twoBytes = 0xc5;
const impliedPrefixes: readonly MandatoryPrefix[] = ["none", "66", "F3", "F2"];

/** Whether VEX comes next: outside 64-bit mode LES and LDS have memory operands only. */
export function isVex(cursor: Cursor, long: boolean): boolean {
  const first = cursor.peek();
  return (first === threeBytes || first === twoBytes)
    && (long || ((cursor.bytes[cursor.at + 1] ?? 0xff) & 0xc0) === 0xc0);
}

/**
 * Reads VEX and the opcode's map, into `prefixes`: R, X, B and W where REX has them, pp where
 * legacy prefixes stand. Undefined where VEX is not allowed: behind LOCK, 66, F2, F3 or REX
 * (SDM 2A §2.3.2 to §2.3.4), or with a map that is none (§2.3.6.1).
 */
export function readVex(
  cursor: Cursor, prefixes: Prefixes, long: boolean,
): OpcodeMap | undefined {
  const { operandSize, repeat, locked, rex } = prefixes;
  const isShort = cursor.u8() === twoBytes;
  const first = cursor.u8();
  const last = isShort ? first : cursor.u8();
  const map = isShort ? 1 : first & 0x1f;
  if (operandSize || repeat !== 0 || locked || rex !== 0 || (map !== 1 && map !== 2 && map !== 3)) {
    return undefined;
  }
  // R, X and B are inverted; outside 64-bit mode there are no registers that they could name.
  const extension = isShort ? (~first >> 5) & 4 : (~first >> 5) & 7;
  prefixes.rex = 0x40 | (long ? extension : 0) | (isShort ? 0 : (last >> 4) & 8);
  prefixes.vex = { long: (last & 4) !== 0, register: (~last >> 3) & 15 };
  const implied = impliedPrefixes[last & 3];
  prefixes.operandSize = implied === "66";
  prefixes.repeat = implied === "F3" ? 0xf3 : implied === "F2" ? 0xf2 : 0;
  return map;
}
