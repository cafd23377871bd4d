/** Memory for tests of the addon and for the processes they start. */

/** Whole pages of a new shared memory. */
export function sharedPages(bytes: number): Uint8Array {
  const pages = Math.ceil(bytes / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return new Uint8Array(memory.buffer, 0, bytes);
}
