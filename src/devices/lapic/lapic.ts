/**
 * A local APIC, xAPIC and x2APIC (Intel SDM 3A §11): accepts interrupts, orders them by priority,
 * and tells its vCPU by one number whether there is anything to do.
 */
import { deliveryMode, type EoiListener, type LocalApics } from "../../fabric/apic-bus.ts";
import type { Device } from "../../fabric/device.ts";
import { assignState } from "../../fabric/state.ts";
import { sendCommand } from "./command.ts";
import { isMeantX2apic, isMeantXapic, x2apicLogicalId } from "./destination.ts";
import { newVectors, Priority } from "./priority.ts";
import { LapicTimer, newTimerState, timerMode, type LapicTimerEnv } from "./timer.ts";

export interface LapicEnv extends LapicTimerEnv {
  readonly apics: LocalApics;
  readonly eoi: EoiListener;
  /** The 8259 behind LINT0. */
  readonly external: { pendingVector(): number; acknowledge(): number };
  /** Called when `attention` gains a bit: the vCPU should look soon. */
  readonly wake: () => void;
}

export interface LapicOptions {
  readonly id: number;
  readonly isBootCpu: boolean;
  /** It starts in x2APIC mode. */
  readonly x2apic?: boolean;
}

/** Bits of `Lapic.attention`. */
export const attention = { interrupt: 1, nmi: 2, init: 4, startUp: 8 } as const;

/** The order of `state.lvt`. */
export const lvt = {
  cmci: 0, timer: 1, thermal: 2, performance: 3, lint0: 4, lint1: 5, error: 6,
} as const;
const lvtMasked = 0x1_0000;
const lvtWritable = [0x1_07ff, 0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff] as const;

const svrEnabled = 1 << 8;
const svrWritable = 0x3ff;

/** Error status (SDM 3A §11.5.3). */
export const lapicError = { sentIllegalVector: 1 << 5, receivedIllegalVector: 1 << 6 } as const;
/** Vectors below 16 belong to exceptions. */
const vectorMin = 16;

export const lapicBase = 0xfee0_0000;
export const apicBaseBits = { bootCpu: 1 << 8, x2apic: 1 << 10, enabled: 1 << 11 } as const;

/** The registers that INIT and a disabled APIC lose. */
function newRegisters() {
  return {
    ...newVectors(),
    ldr: 0, dfr: 0xffff_ffff, svr: 0xff, esr: 0, errors: 0, icrLow: 0, icrHigh: 0,
    lvt: new Uint32Array(7).fill(lvtMasked),
    timer: newTimerState(),
    nmi: false, init: false,
    /** Vector of a start-up message not taken yet, or -1. */
    startUp: -1,
  };
}

export class Lapic implements Device {
  readonly id: number;
  readonly #isBootCpu: boolean;
  readonly #startsInX2apic: boolean;
  readonly #env: LapicEnv;
  readonly #timer: LapicTimer;
  readonly #priority: Priority;
  /** What the vCPU has to look at, as `attention` bits; 0 nearly always. Read before every entry
   * into guest code, so it is a plain field. */
  attention = 0;
  readonly state: ReturnType<typeof newRegisters> & {
    /** Low half of IA32_APIC_BASE. */
    apicBase: number;
    /** Level of the two local pins. */
    lint: boolean[];
  };

  constructor(options: LapicOptions, env: LapicEnv) {
    this.id = options.id;
    this.#isBootCpu = options.isBootCpu;
    this.#startsInX2apic = options.x2apic ?? false;
    this.#env = env;
    this.#timer = new LapicTimer(env, () => this.#localInterrupt(lvt.timer));
    this.state = {
      ...this.#powerOnRegisters(), timer: this.#timer.state,
      apicBase: this.#powerOnBase(), lint: [false, false],
    };
    this.#priority = new Priority(this.state);
  }

  get isEnabled(): boolean {
    return (this.state.apicBase & apicBaseBits.enabled) !== 0;
  }

  get isX2apic(): boolean {
    return (this.state.apicBase & apicBaseBits.x2apic) !== 0;
  }

  // For the vCPU.

  /** The vector that `acknowledge` would give, or -1 when no interrupt may be delivered now. */
  pendingVector(): number {
    if (this.#hasExternal()) {
      return this.#env.external.pendingVector();
    }
    return this.#priority.pending();
  }

  /** Takes the interrupt: the vector goes from requested to in service. */
  acknowledge(): number {
    if (this.#hasExternal()) {
      return this.#env.external.acknowledge();
    }
    const vector = this.#priority.pending();
    if (vector < 0) {
      return this.state.svr & 0xff; // §11.9, spurious interrupt: nothing is in service.
    }
    this.#priority.begin(vector);
    this.#update();
    return vector;
  }

  takeNmi(): boolean {
    const { nmi } = this.state;
    this.state.nmi = false;
    this.#update();
    return nmi;
  }

  /** Takes an INIT message; the registers start anew with it (§11.4.7.3). */
  takeInit(): boolean {
    const { init, startUp } = this.state;
    if (init) {
      this.#loseRegisters();
      this.state.startUp = startUp;
      this.#update();
    }
    return init;
  }

  /** Takes a start-up message: its vector, or -1. */
  takeStartUp(): number {
    const { startUp } = this.state;
    this.state.startUp = -1;
    this.#update();
    return startUp;
  }

  // For senders.

  /** This APIC is meant by a message (§11.6.2). */
  isMeant(destination: number, logical: boolean): boolean {
    const { id } = this;
    const { ldr, dfr } = this.state;
    return this.isEnabled && (this.isX2apic
      ? isMeantX2apic(id, destination, logical)
      : isMeantXapic({ id, ldr, dfr }, destination, logical));
  }

  accept(mode: number, vector: number, level: boolean): void {
    const s = this.state;
    if (mode === deliveryMode.fixed || mode === deliveryMode.lowestPriority) {
      this.#acceptVector(vector, level);
    } else if (mode === deliveryMode.nmi) {
      s.nmi = true;
    } else if (mode === deliveryMode.init) {
      s.init = true;
      s.startUp = -1;
    } else if (mode === deliveryMode.startUp) {
      s.startUp = vector;
    } // SMI: no system management mode here. ExtINT messages: the 8259 is wired to LINT0 alone.
    this.#update();
  }

  /** Level of a local pin: 0 is the 8259's INTR, 1 is the board's NMI. */
  setPin(pin: 0 | 1, level: boolean): void {
    const rises = level && this.state.lint[pin] === false;
    this.state.lint[pin] = level;
    if (rises && this.isEnabled) {
      this.#localInterrupt(pin === 0 ? lvt.lint0 : lvt.lint1);
    } else if (rises && pin === 1) {
      this.state.nmi = true; // A disabled APIC leaves the pins to the processor (§11.4.3).
    }
    this.#update();
  }

  // Registers.

  get tpr(): number {
    return this.state.tpr;
  }

  set tpr(value: number) {
    this.state.tpr = value & 0xff;
    this.#update();
  }

  get ppr(): number {
    return this.#priority.ppr;
  }

  logicalId(): number {
    return this.isX2apic ? x2apicLogicalId(this.id) : this.state.ldr;
  }

  endOfInterrupt(): void {
    const vector = this.#priority.end();
    if (vector >= 0) {
      this.#update();
      if (this.#priority.isLevel(vector)) {
        this.#env.eoi.endOfInterrupt(vector);
      }
    }
  }

  writeSpurious(value: number): void {
    const s = this.state;
    s.svr = value & svrWritable;
    if ((value & svrEnabled) === 0) {
      for (const [index, entry] of s.lvt.entries()) {
        s.lvt[index] = entry | lvtMasked;
      }
    }
    this.#update();
  }

  writeLvt(index: number, value: number): void {
    const s = this.state;
    const forced = (s.svr & svrEnabled) === 0 ? lvtMasked : 0;
    s.lvt[index] = (value & (lvtWritable[index] ?? 0)) | forced;
    if (index === lvt.timer) {
      const mode = value >>> 17 & 3;
      this.#timer.setMode(mode > timerMode.tscDeadline ? timerMode.oneShot : mode);
    }
    this.#update();
  }

  get timer(): LapicTimer {
    return this.#timer;
  }

  /** Errors gathered since the last write show from then on. */
  writeErrorStatus(): void {
    this.state.esr = this.state.errors;
    this.state.errors = 0;
  }

  /** Sends the message of an interrupt command register. */
  command(low: number, destination: number): void {
    const error = sendCommand(this, this.#env.apics, low, destination);
    if (error !== 0) {
      this.#error(error);
    }
  }

  /** IA32_APIC_BASE; false where the processor raises #GP (§11.12.5). */
  writeBase(low: number, high: number): boolean {
    const s = this.state;
    const enable = apicBaseBits.enabled;
    const both = apicBaseBits.enabled | apicBaseBits.x2apic;
    const mode = low & both;
    const old = s.apicBase & both;
    const legal = mode === old || mode === 0 || (mode === enable && old === 0)
      || (mode === both && old === enable);
    // The page cannot be moved, as in bhyve: no guest of today does it.
    const known = apicBaseBits.bootCpu | both;
    if (!legal || high !== 0 || (low & ~known) >>> 0 !== lapicBase) {
      return false;
    }
    if (mode === 0 && old !== 0) {
      this.#loseRegisters();
    }
    s.apicBase = ((s.apicBase & ~both) | mode) >>> 0;
    this.#update();
    return true;
  }

  reset(): void {
    // The pins keep their levels: they belong to others.
    assignState(this.state, { ...this.#powerOnRegisters(), apicBase: this.#powerOnBase() });
    this.sync();
  }

  sync(): void {
    this.#timer.sync();
    this.#update();
  }

  detach(): void {
    this.#timer.state.deadlineNs = Infinity;
    this.#timer.sync();
  }

  #powerOnBase(): number {
    return (lapicBase | apicBaseBits.enabled | (this.#isBootCpu ? apicBaseBits.bootCpu : 0)
      | (this.#startsInX2apic ? apicBaseBits.x2apic : 0)) >>> 0;
  }

  #powerOnRegisters(): ReturnType<typeof newRegisters> {
    const registers = newRegisters();
    if (this.#isBootCpu) {
      // What PC firmware leaves behind: the 8259 reaches the boot processor ("virtual wire
      // mode", MultiProcessor Specification 1.4 §3.6.2.2). Directly booted kernels rely on it.
      registers.lvt[lvt.lint0] = deliveryMode.extInt << 8;
    }
    return registers;
  }

  #loseRegisters(): void {
    assignState(this.state, newRegisters());
    this.#timer.sync();
  }

  #hasExternal(): boolean {
    const entry = this.state.lvt[lvt.lint0] ?? 0;
    const open = !this.isEnabled
      || (entry & (lvtMasked | 0x700)) === deliveryMode.extInt << 8;
    return this.state.lint[0] === true && open;
  }

  #localInterrupt(index: number): void {
    const entry = this.state.lvt[index] ?? lvtMasked;
    if ((entry & lvtMasked) === 0) {
      this.accept(entry >>> 8 & 7, entry & 0xff, false);
    }
  }

  #acceptVector(vector: number, level: boolean): void {
    const s = this.state;
    if ((s.svr & svrEnabled) === 0 || !this.isEnabled) {
      return;
    }
    if (vector < vectorMin) {
      this.#error(lapicError.receivedIllegalVector);
      return;
    }
    this.#priority.request(vector, level);
  }

  #error(bit: number): void {
    const s = this.state;
    const isNew = (s.errors & bit) === 0;
    s.errors |= bit;
    const entry = s.lvt[lvt.error] ?? lvtMasked;
    // An illegal vector for the error interrupt itself must not report itself for ever.
    if (isNew && (entry & lvtMasked) === 0 && (entry & 0xff) >= vectorMin) {
      this.#acceptVector(entry & 0xff, false);
    }
    this.#update();
  }

  /** The one place that derives priority and attention from the registers. */
  #update(): void {
    const s = this.state;
    this.#priority.update();
    const ready = this.#priority.pending() >= 0;
    const before = this.attention;
    this.attention = (ready || this.#hasExternal() ? attention.interrupt : 0)
      | (s.nmi ? attention.nmi : 0) | (s.init ? attention.init : 0)
      | (s.startUp >= 0 ? attention.startUp : 0);
    if ((this.attention & ~before) !== 0) {
      this.#env.wake();
    }
  }
}
