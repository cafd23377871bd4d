/** Checks of our own logic: a failed one is a defect of tsbhyve, so it ends the run early. */

export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) {
    throw new AssertionFailure(message);
  }
}

/** Ends a `switch` over a closed set; the compiler proves it is never reached. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable value ${String(value)}`);
}

/** The value, which our own logic guarantees to be there. */
export function defined<T>(value: T | undefined, what: string): T {
  assert(value !== undefined, `${what} is missing`);
  return value;
}
