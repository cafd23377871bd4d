/** Feature bits, status bits and vectors that all virtio devices share (VIRTIO 1.2 §2.1, §6). */

/** Numbers of feature bits. */
export const feature = {
  indirect: 28, eventIndex: 29, version1: 32, packed: 34, ringReset: 40,
} as const;

export const deviceStatus = {
  acknowledge: 1, driver: 2, driverOk: 4, featuresOk: 8, needsReset: 64, failed: 128,
} as const;

/** Bits of the interrupt status register (§4.1.4.5). */
export const interruptCause = { queue: 1, config: 2 } as const;

/** A 64-bit set of features as low and high word. */
export function featureWords(numbers: readonly number[]): Uint32Array {
  const words = new Uint32Array(2);
  for (const number of numbers) {
    words[number >>> 5] = (words[number >>> 5] ?? 0) | (1 << (number & 31));
  }
  return words;
}

export function hasFeature(words: Uint32Array, number: number): boolean {
  return (((words[number >>> 5] ?? 0) >>> (number & 31)) & 1) !== 0;
}
