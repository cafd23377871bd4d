/** Sizes in bytes and durations in nanoseconds. */
export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;
export const microsecondNs = 1000;
export const millisecondNs = 1000 * microsecondNs;
export const secondNs = 1000 * millisecondNs;

declare const gpaBrand: unique symbol;

/** A guest-physical address: an integer below 2^53. */
export type Gpa = number & { readonly [gpaBrand]: true };

export function gpa(address: number): Gpa {
  return address as Gpa;
}
