/** Messages of 9P2000.L (diod, protocol.md; Linux, include/net/9p/9p.h); little-endian. */

export const messageType = {
  rlerror: 7, tstatfs: 8, tlopen: 12, tlcreate: 14, tsymlink: 16, tmknod: 18, trename: 20,
  treadlink: 22, tgetattr: 24, tsetattr: 26, txattrwalk: 30, txattrcreate: 32, treaddir: 40,
  tfsync: 50, tlock: 52, tgetlock: 54, tlink: 70, tmkdir: 72, trenameat: 74, tunlinkat: 76,
  tversion: 100, tauth: 102, tattach: 104, tflush: 108, twalk: 110, tread: 116, twrite: 118,
  tclunk: 120, tremove: 122,
} as const;
/** Size, type and tag. */
export const headBytes = 7;

/** A message that ends too early, or has a text that is none. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage";
}

/** Takes the fields of a message, one after the other; throws MalformedMessage at its end. */
export class MessageReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = headBytes;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.#step(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#step(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#step(4), true);
  }

  /** As a double: offsets beyond 2^53 are inexact, and beyond every file. */
  u64(): number {
    const low = this.u32();
    return this.u32() * 2 ** 32 + low;
  }

  text(): string {
    return new TextDecoder().decode(this.bytes(this.u16()));
  }

  bytes(length: number): Uint8Array {
    const at = this.#step(length);
    return this.#bytes.subarray(at, at + length);
  }

  #step(length: number): number {
    const at = this.#at;
    if (at + length > this.#bytes.length) {
      throw new MalformedMessage("the message ends too early");
    }
    this.#at += length;
    return at;
  }
}

/** Puts the fields of a reply together. */
export class MessageWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = headBytes;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes so far. */
  get length(): number {
    return this.#at;
  }

  get room(): number {
    return this.#bytes.length - this.#at;
  }

  /** Starts again, behind the head. */
  rewind(): this {
    this.#at = headBytes;
    return this;
  }

  u8(value: number): this {
    this.#view.setUint8(this.#step(1), value);
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#step(2), value, true);
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#step(4), value, true);
    return this;
  }

  u64(value: bigint | number): this {
    this.#view.setBigUint64(this.#step(8), BigInt.asUintN(64, BigInt(value)), true);
    return this;
  }

  text(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u16(bytes.length).bytes(bytes);
  }

  bytes(bytes: Uint8Array): this {
    this.#bytes.set(bytes, this.#step(bytes.length));
    return this;
  }

  /** Room for bytes that the caller puts in itself. */
  space(length: number): Uint8Array {
    const at = this.#step(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Takes back the end of what was written last. */
  shorten(bytes: number): void {
    this.#at -= bytes;
  }

  /** Writes the head; returns the whole message. */
  finish(type: number, tag: number): Uint8Array {
    this.#view.setUint32(0, this.#at, true);
    this.#view.setUint8(4, type);
    this.#view.setUint16(5, tag, true);
    return this.#bytes.subarray(0, this.#at);
  }

  #step(length: number): number {
    if (this.#at + length > this.#bytes.length) {
      throw new MalformedMessage("the reply does not fit");
    }
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
