/**
 * A guest without a processor, for tests of devices: memory, address spaces, a clock that moves
 * when told, and interrupts and machine requests that are only recorded.
 */
import { createLog, type Log } from "../../base/log.ts";
import { alignUp } from "../../base/bits.ts";
import { gpa, MiB, type Gpa } from "../../base/units.ts";
import { assert } from "../../base/assert.ts";
import { MmioSpace, PortSpace } from "../../fabric/address-space.ts";
import type { Board } from "../../fabric/board.ts";
import { ManualClock } from "../../fabric/clock.ts";
import type { Entropy, Env } from "../../fabric/device.ts";
import type { IrqLine, MsiSink } from "../../fabric/interrupt.ts";
import type { MachineControl } from "../../fabric/machine-control.ts";
import { GuestMemory } from "../../fabric/memory.ts";

/** An interrupt line that remembers. */
export class RecordedLine implements IrqLine {
  level = false;
  /** How often the level went from low to high. */
  rises = 0;

  set(level: boolean): void {
    if (level && !this.level) {
      this.rises += 1;
    }
    this.level = level;
  }
}

export class RecordedMsi implements MsiSink {
  readonly messages: { readonly address: number; readonly data: number }[] = [];

  send(address: number, data: number): void {
    this.messages.push({ address, data });
  }
}

export class RecordedMachine implements MachineControl {
  resets = 0;
  powerOffs = 0;
  readonly exits: number[] = [];

  reset(): void {
    this.resets += 1;
  }

  powerOff(): void {
    this.powerOffs += 1;
  }

  exit(status: number): void {
    this.exits.push(status);
  }
}

/** Bytes that look random and are the same in every run (xorshift32). */
export class SeededEntropy implements Entropy {
  #word: number;

  constructor(seed: number) {
    this.#word = seed >>> 0 || 1;
  }

  /** The next unsigned 32-bit number. */
  next(): number {
    this.#word ^= this.#word << 13;
    this.#word ^= this.#word >>> 17;
    this.#word ^= this.#word << 5;
    return (this.#word >>>= 0);
  }

  fill(target: Uint8Array): void {
    for (let index = 0; index < target.length; index += 1) {
      target[index] = this.next() >>> 11;
    }
  }
}

export interface FakeGuestOptions {
  readonly memoryBytes?: number;
  readonly seed?: number;
}

/** Guest RAM that `allocate` hands out starts here, so that address 0 stays a wrong pointer. */
const allocateBase = 0x1000;

export class FakeGuest implements Env, Board {
  readonly memory: GuestMemory;
  readonly ports = new PortSpace();
  readonly mmio = new MmioSpace();
  readonly clock = new ManualClock();
  readonly entropy: SeededEntropy;
  /** What devices logged: level and message. */
  readonly messages: string[] = [];
  readonly log: Log = createLog((level, message) => {
    this.messages.push(`${level}: ${message}`);
  });
  readonly machine = new RecordedMachine();
  readonly msi = new RecordedMsi();
  readonly lines = new Map<string, RecordedLine>();
  #allocated = allocateBase;

  constructor(options: FakeGuestOptions = {}) {
    const { memoryBytes = MiB, seed = 1 } = options;
    this.memory = new GuestMemory(new ArrayBuffer(memoryBytes), 0, memoryBytes);
    this.entropy = new SeededEntropy(seed);
  }

  /** The recorded line of this name; made at the first call. */
  line(name: string): RecordedLine {
    const line = this.lines.get(name) ?? new RecordedLine();
    this.lines.set(name, line);
    return line;
  }

  /** Takes guest RAM that nobody else of this test uses: for rings and buffers. */
  allocate(sizeBytes: number, alignment = 16): Gpa {
    const at = alignUp(this.#allocated, alignment);
    this.#allocated = at + sizeBytes;
    assert(this.memory.contains(gpa(at), sizeBytes), "the test's guest has enough memory");
    return gpa(at);
  }

  inb(port: number): number {
    return this.ports.read(port, 1);
  }

  inw(port: number): number {
    return this.ports.read(port, 2);
  }

  inl(port: number): number {
    return this.ports.read(port, 4);
  }

  outb(port: number, value: number): void {
    this.ports.write(port, 1, value);
  }

  outw(port: number, value: number): void {
    this.ports.write(port, 2, value);
  }

  outl(port: number, value: number): void {
    this.ports.write(port, 4, value);
  }

  readl(address: number): number {
    return this.mmio.read(address, 4);
  }

  writel(address: number, value: number): void {
    this.mmio.write(address, 4, value);
  }
}

export function fakeGuest(options: FakeGuestOptions = {}): FakeGuest {
  return new FakeGuest(options);
}
