/**
 * ACPI fixed hardware (ACPI 5.1 §4.8): PM1 event and control blocks, PM timer, GPE0, and the SMI
 * command port by which a guest switches ACPI on. Ports and accepted bits are bhyve's.
 */
import { bits } from "../base/bits.ts";
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { Clock } from "../fabric/clock.ts";
import type { IrqLine } from "../fabric/interrupt.ts";
import type { MachineControl } from "../fabric/machine-control.ts";
import { registerMap } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";
import { Ticks } from "../fabric/ticks.ts";

/** Where the blocks are; the FADT tells the guest. */
export const acpiPorts = {
  pm1Event: 0x400, pm1Control: 0x404, pmTimer: 0x408, gpe0: 0x40c, smiCommand: 0xb2,
} as const;
export const acpiEnableCommand = 0xa0;
export const acpiDisableCommand = 0xa1;
export const sciIrq = 9;
export const pmTimerHz = 3_579_545;
/** SLP_TYP of S5, as the `_S5` object of the DSDT says. */
export const sleepTypeS5 = 5;

const pm1 = bits({ busMaster: 4, global: 5, powerButton: 8, sleepButton: 9, rtc: 10, wake: 15 });
const statusClearable = pm1.wake | pm1.rtc | pm1.sleepButton | pm1.powerButton | pm1.busMaster;
const enableWritable = pm1.rtc | pm1.powerButton | pm1.global;

const sciEnabled = 1 << 0;
const sleepTypeShift = 10;
const sleepTypeMask = 7 << sleepTypeShift;
const sleepEnable = 1 << 13;
const controlWritable = sleepTypeMask | (1 << 1);

export interface AcpiPmEnv {
  readonly clock: Clock;
  /** Level, active while an enabled event waits. */
  readonly sci: IrqLine;
  readonly machine: Pick<MachineControl, "powerOff">;
}

function newState() {
  return { status: 0, enable: 0, control: 0, gpeStatus: 0, gpeEnable: 0 };
}

export class AcpiPm implements BoardDevice {
  readonly #env: AcpiPmEnv;
  readonly #ticks: Ticks;
  readonly #claims = new ClaimList();
  readonly state = newState();

  constructor(env: AcpiPmEnv) {
    this.#env = env;
    this.#ticks = new Ticks(env.clock, pmTimerHz);
  }

  attach(board: Board): void {
    const at = (name: string, base: number) => ({ name: `ACPI ${name}`, base });
    const { ports } = board;
    this.#claims.add(ports, at("PM1 event", acpiPorts.pm1Event), pm1EventMap, this);
    this.#claims.add(ports, at("PM1 control", acpiPorts.pm1Control), pm1ControlMap, this);
    this.#claims.add(ports, at("PM timer", acpiPorts.pmTimer), timerMap, this);
    this.#claims.add(ports, at("GPE0", acpiPorts.gpe0), gpeMap, this);
    this.#claims.add(ports, at("SMI command", acpiPorts.smiCommand), smiMap, this);
  }

  /** The guest's ACPI driver is in charge: a power button press will be noticed. */
  get isAcpiMode(): boolean {
    return (this.state.control & sciEnabled) !== 0;
  }

  pressPowerButton(): void {
    this.state.status |= pm1.powerButton;
    this.sync();
  }

  /** Raises a general-purpose event (hot-plug, VM generation id). */
  raiseGpe(index: number): void {
    this.state.gpeStatus |= (1 << index) & 0xff;
    this.sync();
  }

  timer(): number {
    return this.#ticks.now() % 2 ** 32;
  }

  clearStatus(written: number): void {
    this.state.status &= ~(written & statusClearable);
    this.sync();
  }

  writeEnable(value: number): void {
    this.state.enable = value & enableWritable;
    this.sync();
  }

  writeControl(value: number): void {
    const s = this.state;
    s.control = (s.control & sciEnabled) | (value & controlWritable);
    const type = (value & sleepTypeMask) >>> sleepTypeShift;
    if ((value & sleepEnable) !== 0 && type === sleepTypeS5) {
      this.#env.machine.powerOff();
    }
  }

  clearGpeStatus(written: number): void {
    this.state.gpeStatus &= ~written;
    this.sync();
  }

  writeGpeEnable(value: number): void {
    this.state.gpeEnable = value;
    this.sync();
  }

  smiCommand(value: number): void {
    const s = this.state;
    if (value === acpiEnableCommand) {
      s.control |= sciEnabled;
    } else if (value === acpiDisableCommand) {
      s.control &= ~sciEnabled;
    }
    this.sync();
  }

  reset(): void {
    assignState(this.state, newState());
    this.sync();
  }

  sync(): void {
    const s = this.state;
    const waiting = (s.status & s.enable) !== 0 || (s.gpeStatus & s.gpeEnable) !== 0;
    this.#env.sci.set(this.isAcpiMode && waiting);
  }

  detach(): void {
    this.#claims.release();
    this.#env.sci.set(false);
  }
}

// Clearing by writing ones must not touch the byte that a narrow write leaves out: hence bytes.
const pm1EventMap = registerMap<AcpiPm>({
  size: 4,
  rows: [
    [0, "PM1_STS low", "rw", {
      read: (pm) => pm.state.status & 0xff, write: (pm, value) => pm.clearStatus(value),
    }],
    [1, "PM1_STS high", "rw", {
      read: (pm) => pm.state.status >>> 8, write: (pm, value) => pm.clearStatus(value << 8),
    }],
    [2, "PM1_EN", "rw", {
      size: 2, field: "enable", write: (pm, value) => pm.writeEnable(value),
    }],
  ],
});

const pm1ControlMap = registerMap<AcpiPm>({
  size: 2, width: 2,
  rows: [[0, "PM1_CNT", "rw", {
    field: "control", write: (pm, value) => pm.writeControl(value),
  }]],
});

const timerMap = registerMap<AcpiPm>({
  size: 4, width: 4,
  rows: [[0, "PM_TMR", "r", { read: (pm) => pm.timer() }]],
});

const gpeMap = registerMap<AcpiPm>({
  size: 2,
  rows: [
    [0, "GPE0_STS", "rw", {
      field: "gpeStatus", write: (pm, value) => pm.clearGpeStatus(value),
    }],
    [1, "GPE0_EN", "rw", { field: "gpeEnable", write: (pm, value) => pm.writeGpeEnable(value) }],
  ],
});

const smiMap = registerMap<AcpiPm>({
  size: 1, empty: 0,
  rows: [[0, "SMI_CMD", "w", { write: (pm, value) => pm.smiCommand(value) }]],
});
