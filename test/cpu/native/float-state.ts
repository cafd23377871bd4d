/** FXSAVE images with registers that make floating point show its edges. */
import type { Random } from "./values.ts";

/** Offsets in an image (Intel SDM 1 §10.5.1). */
export const fx = {
  control: 0, status: 2, tag: 4, opcode: 6, rip: 8, rdp: 16, mxcsr: 24, mxcsrMask: 28, st: 32,
  xmm: 160, end: 416,
} as const;

const single = [
  0, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7fa0_0000,
  0xffc1_2345, 0x0000_0001, 0x807f_ffff, 0x0080_0000, 0x7f7f_ffff, 0x4f00_0000, 0xcf00_0000,
  0x5f00_0000, 0x3f00_0000, 0x3fc0_0000, 0x4b7f_ffff, 0x4b00_0001,
];
/** High halves of doubles. */
const double = [
  0, 0x8000_0000, 0x3ff0_0000, 0xbff0_0000, 0x7ff0_0000, 0xfff0_0000, 0x7ff8_0000, 0x7ff4_0000,
  0x000f_ffff, 0x0010_0000, 0x7fef_ffff, 0x41e0_0000, 0xc1e0_0000, 0x43e0_0000, 0xc3e0_0000,
  0x3fe0_0000, 0x3ff8_0000, 0x4330_0000, 0x36a0_0000, 0x47ef_ffff,
];

function writeLane(view: DataView, offset: number, random: Random): void {
  const choice = random();
  let low = random(), high = random();
  switch (choice & 7) {
    case 0: case 1:
      low = single[(choice >>> 8) % single.length] ?? 0;
      high = single[(choice >>> 16) % single.length] ?? 0;
      break;
    case 2: case 3:
      high = double[(choice >>> 8) % double.length] ?? 0;
      low = (choice & 0x100_0000) !== 0 ? 0 : (choice & 0x200_0000) !== 0 ? 1 : low;
      break;
    case 4:
      // Ordinary numbers near one, in both formats.
      low = 0x3f00_0000 + (low & 0x80ff_ffff);
      high = 0x3ff0_0000 + (high & 0x800f_ffff) - 0x10_0000 * (choice >>> 28);
      break;
    case 5:
      [low, high] = [low & 0xff, 0];
      break;
    default:
  }
  view.setUint32(offset, low >>> 0, true);
  view.setUint32(offset + 4, high >>> 0, true);
}

const exponents = [0, 1, 0x3fff, 0x3ffe, 0x4000, 0x403e, 0x403d, 0x7ffe, 0x7fff, 0x3f80, 0x3c00,
  0x43fe, 0x407f];

function writeExtended(view: DataView, offset: number, random: Random): void {
  const choice = random();
  const high = (choice & 7) === 0 ? random() : (random() | 0x8000_0000) >>> 0;
  const bare = (choice & 0x30) === 0;
  view.setUint32(offset, bare ? 0 : random(), true);
  view.setUint32(offset + 4, bare ? high & 0xc000_0000 : high, true);
  const exponent = (choice & 0x40) !== 0 ? 0x3fff - 40 + (choice >>> 8) % 80
    : (choice & 0x80) !== 0 ? exponents[(choice >>> 8) % exponents.length] ?? 0
      : choice >>> 8 & 0x7fff;
  view.setUint16(offset + 8, exponent | (choice >>> 16 & 0x8000), true);
}

/** Control words with their exceptions masked, most of the time. */
export function writeFloatState(view: DataView, base: number, random: Random): void {
  const choice = random();
  const masks = choice % 8 === 0 ? choice >>> 8 & 0x3f : 0x3f;
  const precision = [3, 3, 2, 0][choice >>> 14 & 3] ?? 3;
  const control = 0x40 | masks | precision << 8 | (choice >>> 16 & 3) << 10;
  const exceptions = (choice >>> 18) % 16 === 0 ? choice >>> 22 & 0x7f : 0;
  const pending = (exceptions & 0x3f & ~masks) !== 0 ? 0x8080 : 0;
  view.setUint16(base + fx.control, control, true);
  view.setUint16(base + fx.status, (random() & 0x7f00) | exceptions | pending, true);
  view.setUint8(base + fx.tag, [0xff, 0xff, 0, 0x7e][random() & 3] ?? random() & 0xff);
  const other = random();
  const mxcsrMasks = other % 8 === 0 ? other >>> 8 & 0x3f : 0x3f;
  const zeros = other % 5 === 0 ? 0x8000 : 0;
  const denormals = other % 7 === 0 ? 0x40 : 0;
  view.setUint32(base + fx.mxcsr, mxcsrMasks << 7 | (other >>> 14 & 3) << 13 | zeros | denormals
    | (other % 3 === 0 ? other >>> 20 & 0x3f : 0), true);
  for (let index = 0; index < 8; index += 1) {
    if ((other >>> 24 & 1) !== 0) {
      writeExtended(view, base + fx.st + index * 16, random);
    } else {
      // What MMX leaves: an exponent of ones.
      writeLane(view, base + fx.st + index * 16, random);
      view.setUint16(base + fx.st + index * 16 + 8, 0xffff, true);
    }
  }
  writeLanes(view, base + fx.xmm, fx.end - fx.xmm, random);
}

/** Vector registers, or parts of them. */
export function writeLanes(view: DataView, start: number, bytes: number, random: Random): void {
  for (let offset = start; offset < start + bytes; offset += 8) {
    writeLane(view, offset, random);
  }
}
