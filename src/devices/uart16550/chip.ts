/**
 * The 16550A itself (National PC16550D datasheet): registers in, interrupt level and bytes out.
 * Bytes travel at once: the divisor only times the receive timeout.
 */
import { millisecondNs, secondNs } from "../../base/units.ts";
import type { Clock, Timer } from "../../fabric/clock.ts";
import type { CharBackend, Device } from "../../fabric/device.ts";
import type { IrqLine } from "../../fabric/interrupt.ts";
import { assignState } from "../../fabric/state.ts";
import { fcr, ier, lcr, lsr, mcr, msr } from "./registers.ts";

const fifoBytes = 16;
const inputHz = 1_843_200;
/** At the lowest rates four characters take seconds; nobody behind a socket waits for that. */
const timeoutMaxNs = 20 * millisecondNs;
/** When the host cannot take a byte, it is asked again this much later. */
const retryNs = millisecondNs;
/** Bytes kept for a host that cannot take them; the guest sees the FIFO as full from 16 on. */
const pendingMax = fifoBytes;

/** So many looks at an idle line, more than bytes sent, and the guest is waiting for input. */
const looksForInput = 8;

/** A driver opens the receiver and then sets FIFO and rate, by which the chip forgets what it has:
 * nothing arrives for this long after either. On a line a byte takes as long. */
const settleNs = 10 * millisecondNs;

const lsrErrors = lsr.overrun | lsr.parity | lsr.framing | lsr.break;
const triggerBytes = [1, 4, 8, 14] as const;

/** Values of the interrupt identification register (datasheet table IV). */
const cause = {
  none: 1, lineStatus: 6, received: 4, timeout: 12, transmitterEmpty: 2, modemStatus: 0,
} as const;

export interface UartEnv {
  readonly clock: Clock;
  readonly irq: IrqLine;
  readonly backend: CharBackend;
}

function newState() {
  return {
    ier: 0, lcr: 0, mcr: 0, scratch: 0, fifoControl: 0, divisorLow: 0, divisorHigh: 0,
    lsr: lsr.holdingEmpty | lsr.idle,
    msr: msr.dcd | msr.dsr | msr.cts,
    /** Received bytes; the first is the next to read. */
    received: new Uint8Array(fifoBytes), receivedFirst: 0, receivedCount: 0,
    /** Bytes the host could not take yet. */
    pending: new Uint8Array(pendingMax), pendingCount: 0, retryNs: Infinity,
    transmitterEmptied: false,
    /** Looks at the line status that no byte to send explains, up to `looksForInput`. */
    looks: 0,
    /** Input may come from here on; Infinity while it may. */
    settledNs: Infinity,
    timedOut: false, timeoutNs: Infinity,
  };
}

export class UartChip implements Device {
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  readonly #backend: CharBackend;
  readonly #timeout: Timer;
  readonly #retry: Timer;
  readonly #settle: Timer;
  #level = false;
  readonly state = newState();

  constructor(env: UartEnv) {
    this.#clock = env.clock;
    this.#irq = env.irq;
    this.#backend = env.backend;
    this.#timeout = env.clock.timer(() => this.#timeOut());
    this.#retry = env.clock.timer(() => this.#sendPending());
    this.#settle = env.clock.timer(() => this.#settled());
  }

  /** Starts listening to the host side; input that came earlier is taken now. */
  connect(): void {
    this.#backend.onReadable(() => this.#fill());
    this.#fill();
  }

  receive(): number {
    const s = this.state;
    if (s.receivedCount === 0) {
      return 0;
    }
    const byte = s.received[s.receivedFirst] ?? 0;
    s.receivedFirst = (s.receivedFirst + 1) % fifoBytes;
    s.receivedCount -= 1;
    s.timedOut = false;
    if (s.receivedCount === 0) {
      s.lsr &= ~lsr.dataReady;
    }
    this.#fill();
    this.#restartTimeout();
    this.sync();
    return byte;
  }

  /** Console output passes here byte by byte: one call into the back end and a few tests. */
  transmit(byte: number): void {
    const s = this.state;
    if ((s.mcr & mcr.loop) !== 0) {
      this.#accept(byte);
    } else if (s.pendingCount > 0 || !this.#backend.put(byte)) {
      this.#keep(byte);
    }
    s.transmitterEmptied = s.pendingCount === 0;
    s.looks = Math.max(s.looks - 1, 0);
    if ((s.ier & ier.transmitterEmpty) !== 0) {
      this.sync();
    }
  }

  writeInterruptEnable(value: number): void {
    const s = this.state;
    const gained = value & ~s.ier;
    s.ier = value & 0x0f;
    s.looks = 0;
    if ((gained & ier.received) !== 0) {
      this.#pause();
    }
    // Enabling the interrupt of an empty transmitter raises it: drivers rely on this to start.
    if ((gained & ier.transmitterEmpty) !== 0 && (s.lsr & lsr.holdingEmpty) !== 0) {
      s.transmitterEmptied = true;
    }
    this.sync();
  }

  /** IIR; reading takes back the transmitter's interrupt. */
  identify(): number {
    const s = this.state;
    const id = this.#cause();
    if (id === cause.transmitterEmpty) {
      s.transmitterEmptied = false;
      this.sync();
    }
    return id | ((s.fifoControl & fcr.enable) !== 0 ? 0xc0 : 0);
  }

  writeFifoControl(value: number): void {
    const s = this.state;
    const toggled = ((value ^ s.fifoControl) & fcr.enable) !== 0;
    if (toggled || (value & fcr.clearReceiver) !== 0) {
      s.receivedCount = 0;
      s.lsr &= ~lsr.dataReady;
      s.timedOut = false;
    }
    if (toggled || (value & fcr.clearTransmitter) !== 0) {
      s.pendingCount = 0;
      s.retryNs = Infinity;
      s.lsr |= lsr.holdingEmpty | lsr.idle;
    }
    // Without the enable bit the other bits are not programmed (datasheet §8.5).
    s.fifoControl = (value & fcr.enable) !== 0 ? value & 0xc9 : 0;
    this.#pause();
    this.#restartTimeout();
    this.sync();
  }

  writeLineControl(value: number): void {
    const s = this.state;
    const breaks = (value & ~s.lcr & lcr.sendBreak) !== 0;
    s.lcr = value;
    if (breaks && (s.mcr & mcr.loop) !== 0) {
      this.#accept(0);
      s.lsr |= lsr.break;
      this.sync();
    }
  }

  writeModemControl(value: number): void {
    this.state.mcr = value & 0x1f;
    this.#updateModemStatus();
    this.#fill();
    this.sync();
  }

  /** The hottest register: a driver polls it before every byte. */
  lineStatus(): number {
    const s = this.state;
    if (s.looks < looksForInput && (s.lsr & lsr.holdingEmpty) !== 0) {
      s.looks += 1;
      if (s.looks === looksForInput) {
        this.#fill();
      }
    }
    const value = s.lsr;
    if ((value & lsrErrors) !== 0) {
      s.lsr &= ~lsrErrors;
      this.sync();
    }
    return value;
  }

  modemStatus(): number {
    const value = this.state.msr;
    if ((value & 0x0f) !== 0) {
      this.state.msr &= 0xf0;
      this.sync();
    }
    return value;
  }

  reset(): void {
    assignState(this.state, newState());
    this.#fill();
    this.sync();
  }

  sync(): void {
    const s = this.state;
    // OUT2 gates the interrupt on PC boards, and looping back takes OUT2 off the pin.
    const wired = (s.mcr & (mcr.out2 | mcr.loop)) === mcr.out2;
    const level = wired && this.#cause() !== cause.none;
    if (level !== this.#level) {
      this.#level = level;
      this.#irq.set(level);
    }
    this.#arm(this.#timeout, s.timeoutNs);
    this.#arm(this.#retry, s.retryNs);
    this.#arm(this.#settle, s.settledNs);
  }

  detach(): void {
    this.#backend.onReadable(() => {});
    this.#timeout.disarm();
    this.#retry.disarm();
    this.#settle.disarm();
    this.#irq.set(false);
  }

  #arm(timer: Timer, deadlineNs: number): void {
    if (deadlineNs !== Infinity) {
      timer.arm(deadlineNs);
    } else if (timer.armed) {
      timer.disarm();
    }
  }

  #capacity(): number {
    return (this.state.fifoControl & fcr.enable) !== 0 ? fifoBytes : 1;
  }

  #trigger(): number {
    const s = this.state;
    return (s.fifoControl & fcr.enable) !== 0 ? triggerBytes[s.fifoControl >>> 6] ?? 1 : 1;
  }

  /** The interrupt of highest priority that is enabled and pending. */
  #cause(): number {
    const s = this.state;
    if ((s.ier & ier.lineStatus) !== 0 && (s.lsr & lsrErrors) !== 0) {
      return cause.lineStatus;
    }
    if ((s.ier & ier.received) !== 0 && s.receivedCount >= this.#trigger()) {
      return cause.received;
    }
    if ((s.ier & ier.received) !== 0 && s.timedOut) {
      return cause.timeout;
    }
    if ((s.ier & ier.transmitterEmpty) !== 0 && s.transmitterEmptied) {
      return cause.transmitterEmpty;
    }
    return (s.ier & ier.modemStatus) !== 0 && (s.msr & 0x0f) !== 0
      ? cause.modemStatus
      : cause.none;
  }

  /** The guest wants input: by interrupt, or polling. What comes before would be lost when its
   * driver finds and clears the chip, so that the host side keeps it. */
  #listens(): boolean {
    const s = this.state;
    return (s.mcr & mcr.loop) === 0 && s.settledNs === Infinity
      && ((s.ier & ier.received) !== 0 || s.looks === looksForInput);
  }

  /** The guest sets the chip up; the caller syncs. */
  #pause(): void {
    this.state.looks = 0;
    this.state.settledNs = this.#clock.nowNs() + settleNs;
  }

  #settled(): void {
    this.state.settledNs = Infinity;
    this.#fill();
    this.sync();
  }

  /** Takes what the host has, as long as there is room: nothing is ever overrun from outside. */
  #fill(): void {
    const s = this.state;
    if (!this.#listens()) {
      return;
    }
    const capacity = this.#capacity();
    let taken = false;
    while (s.receivedCount < capacity) {
      const byte = this.#backend.get();
      if (byte < 0) {
        break;
      }
      this.#accept(byte);
      taken = true;
    }
    if (taken) {
      this.sync();
    }
  }

  /** A byte arrives. */
  #accept(byte: number): void {
    const s = this.state;
    if (s.receivedCount >= this.#capacity()) {
      s.lsr |= lsr.overrun;
      return;
    }
    s.received[(s.receivedFirst + s.receivedCount) % fifoBytes] = byte;
    s.receivedCount += 1;
    s.lsr |= lsr.dataReady;
    this.#restartTimeout();
    this.sync();
  }

  /** Below its trigger level the FIFO reports after four characters' time (datasheet §8.5.2). */
  #restartTimeout(): void {
    const s = this.state;
    const waits = s.receivedCount > 0 && s.receivedCount < this.#trigger() && !s.timedOut;
    const divisor = (s.divisorLow | (s.divisorHigh << 8)) || 1;
    const characterNs = (10 * 16 * divisor * secondNs) / inputHz;
    s.timeoutNs = waits
      ? this.#clock.nowNs() + Math.min(timeoutMaxNs, Math.round(4 * characterNs))
      : Infinity;
  }

  #timeOut(): void {
    this.state.timedOut = this.state.receivedCount > 0;
    this.state.timeoutNs = Infinity;
    this.sync();
  }

  /** The host is busy: the byte waits in the FIFO, and the guest sees that it is not empty. */
  #keep(byte: number): void {
    const s = this.state;
    s.pending[Math.min(s.pendingCount, pendingMax - 1)] = byte; // A full FIFO loses the last.
    s.pendingCount = Math.min(s.pendingCount + 1, pendingMax);
    s.lsr &= ~(lsr.holdingEmpty | lsr.idle);
    s.retryNs = Math.min(s.retryNs, this.#clock.nowNs() + retryNs);
    this.sync();
  }

  #sendPending(): void {
    const s = this.state;
    let sent = 0;
    while (sent < s.pendingCount && this.#backend.put(s.pending[sent] ?? 0)) {
      sent += 1;
    }
    s.pending.copyWithin(0, sent, s.pendingCount);
    s.pendingCount -= sent;
    s.retryNs = s.pendingCount === 0 ? Infinity : this.#clock.nowNs() + retryNs;
    if (s.pendingCount === 0) {
      s.lsr |= lsr.holdingEmpty | lsr.idle;
      s.transmitterEmptied = true;
    }
    this.sync();
  }

  /** Looping back ties the modem inputs to the outputs; else a cable is always plugged in. */
  #updateModemStatus(): void {
    const s = this.state;
    const on = (output: number, input: number) => (s.mcr & output) !== 0 ? input : 0;
    const inputs = (s.mcr & mcr.loop) === 0
      ? msr.dcd | msr.dsr | msr.cts
      : on(mcr.rts, msr.cts) | on(mcr.dtr, msr.dsr) | on(mcr.out1, msr.ri) | on(mcr.out2, msr.dcd);
    const changed = (inputs ^ s.msr) >>> 4;
    // RI reports only that it went away.
    const edges = (changed & ~msr.edgeRi) | ((s.msr & ~inputs) >>> 4 & msr.edgeRi);
    s.msr = inputs | (s.msr & 0x0f) | (edges & 0x0f);
  }
}
