/**
 * `Atomics.waitAsync` (ECMAScript 2024), which Node has from version 16 on and the type library
 * of our language level does not declare.
 */
declare global {
  interface Atomics {
    waitAsync(cells: Int32Array, index: number, expected: number, timeoutMs?: number):
      | { readonly async: false; readonly value: "not-equal" | "timed-out" }
      | { readonly async: true; readonly value: Promise<"ok" | "timed-out"> };
  }
}

/** Resolves once the cell no longer holds `expected` and somebody has said so by `notify`. */
export async function cellChanged(
  cells: Int32Array, index: number, expected: number,
): Promise<void> {
  const wait = Atomics.waitAsync(cells, index, expected);
  if (wait.async) {
    await wait.value;
  }
}
