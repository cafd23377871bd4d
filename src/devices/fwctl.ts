/**
 * bhyve's own firmware interface (fwctl.c): requests of dwords to port 0x510, answers from 0x511.
 * A word of 0 starts anew, and the port then tells its signature byte by byte. A request is its
 * length, operation, id and data; the answer its length, operation, id, error and data.
 */
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { AccessHandler } from "../fabric/address-space.ts";
import { assignState } from "../fabric/state.ts";

const requestPort = 0x510, answerPort = 0x511;
const signature = Buffer.from("BHYV");
const operation = { get: 3, getLength: 4 } as const;
const errorCode = { none: 0, noEntry: 2, tooBig: 7 } as const;
const headerBytes = 12, answerHeaderBytes = 16;
/** Of a key, as bhyve's; a longer request is read to its end and refused. */
const keyBytesMax = 80;

function newState() {
  return {
    /** Bytes of the signature that were told since it began anew. */
    told: 0,
    /** Words of the request still to come; 0 between requests. */
    wordsLeft: 0,
    /** Words of the request: length, operation, id, then its data as far as a key may go. */
    request: [] as number[],
    answer: [] as number[],
  };
}

export interface FwctlOptions {
  readonly cpus: number;
}

export class Fwctl implements BoardDevice {
  readonly #values: ReadonlyMap<string, number>;
  readonly #claims = new ClaimList();
  readonly state = newState();

  constructor({ cpus }: FwctlOptions) {
    this.#values = new Map([["hw.ncpu", cpus]]);
  }

  attach(board: Board): void {
    const { ports } = board;
    this.#claims.claim(ports, { name: "fwctl request", base: requestPort, size: 1 },
      this.#requestRegister());
    this.#claims.claim(ports, { name: "fwctl answer", base: answerPort, size: 1 },
      this.#answerRegister());
  }

  reset(): void {
    assignState(this.state, newState());
  }

  sync(): void {}

  detach(): void {
    this.#claims.release();
  }

  #requestRegister(): AccessHandler {
    return {
      whole: true,
      read: () => 0,
      write: (_offset, size, value) => {
        if (size === 2 && value === 0) {
          this.reset();
        } else if (size === 4) {
          this.#take(value);
        }
      },
    };
  }

  #answerRegister(): AccessHandler {
    return {
      whole: true,
      read: (_offset, size) => {
        if (size === 1) {
          return this.#tell();
        }
        return size === 4 ? this.state.answer.shift() ?? 0 : 0;
      },
      write: () => {},
    };
  }

  #tell(): number {
    const byte = signature[this.state.told] ?? 0;
    this.state.told = Math.min(this.state.told + 1, signature.length);
    return byte;
  }

  #take(word: number): void {
    const { state } = this;
    if (state.wordsLeft === 0) {
      const length = Math.max(word, headerBytes);
      state.wordsLeft = Math.ceil(length / 4);
      state.request = [];
      state.answer = [];
    }
    if (state.request.length * 4 < headerBytes + keyBytesMax) {
      state.request.push(word);
    }
    state.wordsLeft -= 1;
    if (state.wordsLeft === 0) {
      this.#serve();
    }
  }

  #serve(): void {
    const [length = 0, which = 0, id = 0, ...words] = this.state.request;
    const key = keyOf(words);
    const value = this.#values.get(key);
    let data: number[] = [];
    let error: number = errorCode.noEntry;
    if (length > headerBytes + keyBytesMax) {
      error = errorCode.tooBig;
    } else if (value !== undefined && which === operation.get) {
      [data, error] = [[4, 0, value], errorCode.none];
    } else if (value !== undefined && which === operation.getLength) {
      [data, error] = [[4, 0], errorCode.none];
    }
    this.state.answer = [answerHeaderBytes + data.length * 4, which, id, error, ...data];
  }
}

/** A text that ends at its first zero byte. */
function keyOf(words: readonly number[]): string {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) {
    bytes.writeUInt32LE(word, index * 4);
  }
  const end = bytes.indexOf(0);
  return bytes.subarray(0, end < 0 ? bytes.length : end).toString("latin1");
}
