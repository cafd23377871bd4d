/** MSRs that a kernel leaves to user space, as bhyve answers for them (amd64/xmsr.c). */

/** Read as these values. */
const known: ReadonlyMap<number, bigint> = new Map([
  [0x17, 0n], [0x8b, 0n], [0x3a, 1n], [0x140, 0n], [0x606, 0x000a_1003n], [0x611, 0n],
  [0x619, 0n], [0x639, 0n], [0x641, 0n],
  [0xc001_0015, 0x0100_0210n], [0xc001_001f, 0n], [0xc001_1020, 0n], [0xc001_1021, 0n],
  [0xc001_1029, 1n], [0xc001_0112, 0n], [0xc001_0113, 0n], [0xc001_0114, 0x10n],
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => [0xc001_0000 + n, 0n] as const),
  ...[1, 2, 3, 4].map((n) => [0xc001_0060 + n, 0n] as const),
]);
const writable = new Set([
  0x79, 0x8b, 0xd04, 0xc24, 0xc001_0015, 0xc001_001f, 0xc001_1020, 0xc001_1021, 0xc001_0062,
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => 0xc001_0000 + n),
]);

/** Undefined for what no such processor has. */
export function readMsr(index: number): bigint | undefined {
  return known.get(index);
}

/** False for what no such processor has. */
export function writeMsr(index: number): boolean {
  return writable.has(index);
}
