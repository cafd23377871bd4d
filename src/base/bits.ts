/** Bit and field helpers for 32-bit values. */

/** Turns a table of bit numbers into masks: `bits({ enable: 7 }).enable === 0x80`. */
export function bits<T extends Record<string, number>>(
  numbers: T,
): { readonly [K in keyof T]: number } {
  const masks = Object.entries(numbers).map(([name, bit]) => [name, (1 << bit) >>> 0]);
  return Object.fromEntries(masks) as { [K in keyof T]: number };
}

/** All ones for an access of `size` bytes (1, 2 or 4): what an empty bus returns. */
export function onesOf(size: number): number {
  return size >= 4 ? 0xffff_ffff : (1 << (size * 8)) - 1;
}

/** `value` cut to `size` bytes, unsigned. */
export function truncate(value: number, size: number): number {
  return (value & onesOf(size)) >>> 0;
}

export function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

/** `value` rounded up to a multiple of `alignment`; exact for integers below 2^53. */
export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
