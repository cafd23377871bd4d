/** A text to be read, and places in it: every error names file, line and column. */
import { isUtf8 } from "node:buffer";
import { ConfigError } from "../base/errors.ts";
import { MiB } from "../base/units.ts";

/** No description of a machine comes near; what is larger is refused before it is parsed. */
export const textBytesMax = 1 * MiB;

/** Values of one text; each has a place and costs time and memory. */
const valuesMax = 16_384;

export class Source {
  readonly name: string;
  readonly text: string;
  #values = 0;
  #lineStarts: readonly number[] | undefined;

  constructor(name: string, text: string) {
    this.name = name;
    this.text = text;
  }

  /** `name:line:column` of an offset into the text, both counted from 1. */
  at(offset: number): string {
    const starts = this.#lineStarts ??= lineStartsOf(this.text);
    let low = 0, high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return `${this.name}:${low + 1}:${offset - (starts[low] ?? 0) + 1}`;
  }

  /** The same for a line that a library counted from 1 and a column from `firstColumn`. */
  place(line: number, column: number): string {
    return `${this.name}:${line}:${column}`;
  }

  /** Counts one more value; throws ConfigError beyond what a machine could mean. */
  countValue(offset: number): void {
    this.#values += 1;
    if (this.#values > valuesMax) {
      throw this.error(offset, `there are more than ${valuesMax} values; allowed: up to that`);
    }
  }

  error(offset: number, message: string): ConfigError {
    return new ConfigError({ key: this.at(offset), message });
  }
}

function lineStartsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    starts.push(at + 1);
  }
  return starts;
}

/** A source from a file's bytes: UTF-8 without NUL, of bounded size; throws ConfigError. */
export function sourceOf(name: string, bytes: Uint8Array): Source {
  if (bytes.length > textBytesMax) {
    throw new ConfigError({
      key: `${name}:1:1`, message: `is larger than ${textBytesMax} bytes; allowed: up to that`,
    });
  }
  const good = isUtf8(bytes) ? bytes.length : validBytes(bytes);
  const text = new TextDecoder().decode(bytes.subarray(0, good));
  const source = new Source(name, text);
  if (good < bytes.length) {
    throw source.error(text.length, "is not UTF-8 from here on; allowed: UTF-8");
  }
  const nul = text.indexOf("\0");
  if (nul >= 0) {
    throw source.error(nul, "is a NUL character; allowed: text");
  }
  return source;
}

/** How many bytes in front are valid UTF-8: a longer prefix has the same first mistake. */
function validBytes(bytes: Uint8Array): number {
  const isGood = (length: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let low = 0, high = bytes.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (isGood(middle)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  // The last sequence may be cut off rather than wrong; it does not belong to the good part.
  while (low > 0 && !isUtf8(bytes.subarray(0, low))) {
    low -= 1;
  }
  return low;
}
