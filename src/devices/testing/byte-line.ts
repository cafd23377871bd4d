/** A byte channel whose far end is the test, and which may be full. */
import type { CharBackend } from "../../fabric/device.ts";

export class ByteLine implements CharBackend {
  output = "";
  /** Bytes that still find room. */
  room = Infinity;
  #input: number[] = [];
  #listener: () => void = () => {};

  type(text: string): void {
    this.#input.push(...new TextEncoder().encode(text));
    this.#listener();
  }

  /** Input that nobody has taken. */
  get waiting(): number {
    return this.#input.length;
  }

  put(byte: number): boolean {
    if (this.room === 0) {
      return false;
    }
    this.room -= 1;
    this.output += String.fromCharCode(byte);
    return true;
  }

  get(): number {
    return this.#input.shift() ?? -1;
  }

  onReadable(listener: () => void): void {
    this.#listener = listener;
  }

  close(): void {}
}
