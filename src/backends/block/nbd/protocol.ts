/** Numbers of the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md); all big-endian. */

export const nbdMagic = { high: 0x4e42_444d, low: 0x4147_4943 } as const; // "NBDMAGIC"
export const optionMagic = { high: 0x4948_4156, low: 0x454f_5054 } as const; // "IHAVEOPT"
export const replyMagic = { high: 0x0003_e889, low: 0x0455_65a9 } as const;
export const requestMagic = 0x2560_9513;
export const simpleReplyMagic = 0x6744_6698;

export const handshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;
export const option = { exportName: 1, abort: 2, list: 3, info: 6, go: 7 } as const;
export const optionReply = { ack: 1, server: 2, info: 3 } as const;
export const optionError = {
  unsupported: 0x8000_0001, invalid: 0x8000_0003, unknown: 0x8000_0006,
} as const;
export const information = { export: 0, blockSize: 3 } as const;
export const exportFlag = {
  hasFlags: 1, readOnly: 2, sendFlush: 4, sendTrim: 32, sendWriteZeroes: 64, canMultiConnect: 256,
} as const;
export const command = {
  read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6,
} as const;
export const requestBytes = 28;
export const simpleReplyBytes = 16;

/** Errors of replies and their numbers (the same on every system). */
export const errorNumbers: Readonly<Record<string, number>> = {
  EPERM: 1, EIO: 5, ENOMEM: 12, EINVAL: 22, ENOSPC: 28, EOVERFLOW: 75, ENOTSUP: 95,
  ESHUTDOWN: 108,
};

export function errorText(number: number): string {
  return Object.entries(errorNumbers).find(([, each]) => each === number)?.[0]
    ?? `error ${number}`;
}

/** Bytes of numbers and pieces, one after the other. */
export class Packer {
  readonly #parts: Uint8Array[] = [];

  u16(value: number): this {
    return this.#number(2, (view) => view.setUint16(0, value));
  }

  u32(value: number): this {
    return this.#number(4, (view) => view.setUint32(0, value));
  }

  u64(value: number): this {
    return this.u32(Math.floor(value / 2 ** 32)).u32(value % 2 ** 32);
  }

  bytes(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  done(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }

  #number(size: number, set: (view: DataView) => void): this {
    const view = new DataView(new ArrayBuffer(size));
    set(view);
    return this.bytes(new Uint8Array(view.buffer));
  }
}
