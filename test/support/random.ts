/** Seeded numbers for tests and for the threads they start, which must not load the harness. */

/** A small deterministic generator (xorshift32); returns unsigned 32-bit integers. */
export function randomSource(start: number): () => number {
  let state = start >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}
