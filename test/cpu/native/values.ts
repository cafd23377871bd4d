/** Operand values that make instructions show their edges. */

const specials: readonly (readonly [number, number])[] = [
  [0, 0], [1, 0], [2, 0], [-1, -1], [-2, -1], [-1, 0x7fff_ffff], [0, 0x8000_0000],
  [0x7fff_ffff, 0], [0x8000_0000, 0], [0x8000_0000, -1], [-1, 0], [0, 1], [0x7fff, 0],
  [0x8000, 0], [0xffff, 0], [0xffff_8000, -1], [0x7f, 0], [0x80, 0], [0xff, 0], [0xffff_ff80, -1],
  [0x5555_5555, 0x5555_5555], [0x0080_8000, 0x8000_0080],
];

const bytes = [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0x81, 0xfe, 0xff];

export type Random = () => number;

/** Writes 64 bits: a special value, a small one, one bit, or noise. */
export function writeValue(view: DataView, offset: number, random: Random): void {
  const choice = random();
  let low = random(), high = random();
  switch (choice & 7) {
    case 0: case 1: {
      [low, high] = specials[(choice >>> 8) % specials.length] ?? [0, 0];
      break;
    }
    case 2: {
      low = (low % 72) - 8;
      high = low < 0 ? -1 : 0;
      break;
    }
    case 3: {
      const bit = choice >>> 8 & 63;
      [low, high] = bit < 32 ? [1 << bit, 0] : [0, 1 << bit];
      if ((choice & 0x8000) !== 0) {
        [low, high] = [~low, ~high];
      }
      break;
    }
    case 4: {
      high = (choice & 0x100) !== 0 ? low >> 31 : 0;
      break;
    }
    default:
  }
  view.setInt32(offset, low, true);
  view.setInt32(offset + 4, high, true);
}

export function immediateByte(random: Random): number {
  const choice = random();
  return (choice & 1) !== 0 ? choice >>> 24 : bytes[(choice >>> 1) % bytes.length] ?? 0;
}
