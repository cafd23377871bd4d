/**
 * Text files of the user, kept byte for byte: bhyve treats a `-k` file as bytes, so what is not
 * UTF-8 must come out of `config.dump` as it went in. Such bytes stand in a string as the lone
 * surrogates U+DC80 to U+DCFF, which valid UTF-8 cannot contain.
 */
import { readFileSync, statSync } from "node:fs";
import { HostError } from "../base/errors.ts";

const strayBase = 0xdc00;

/** The text of a file; a directory reads as an empty file, as it does for bhyve. */
export function readTextFile(path: string): string {
  try {
    return statSync(path).isDirectory() ? "" : textOf(readFileSync(path));
  } catch (error) {
    throw new HostError(`cannot read "${path}"`, error);
  }
}

export function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return textWithStrays(bytes);
  }
}

/** Bytes of a code point of UTF-8 (RFC 3629 §4), by its first byte. */
function sequenceBytes(first: number): number {
  return first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3
    : first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

function textWithStrays(bytes: Uint8Array): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at] ?? 0;
    const length = sequenceBytes(first);
    try {
      if (length === 0) {
        throw new RangeError("no first byte of a sequence");
      }
      text += decoder.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      text += String.fromCharCode(strayBase + first);
      at += 1;
    }
  }
  return text;
}

/** The bytes that a text stands for: the inverse of `textOf`. */
export function bytesOf(text: string): Uint8Array {
  const parts: Uint8Array[] = [];
  // Only a surrogate that has no partner is a stray byte; `u` makes pairs one character.
  for (const part of text.split(/([\udc80-\udcff])/u)) {
    const stray = part.length === 1 ? part.charCodeAt(0) - strayBase : -1;
    parts.push(stray >= 0x80 && stray <= 0xff ? Uint8Array.of(stray) : Buffer.from(part, "utf8"));
  }
  return Buffer.concat(parts);
}
