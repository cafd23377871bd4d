/** The chips on fixed ports of a PC's board, wired as bhyve's; not the interrupt controllers. */
import { GiB, KiB, MiB } from "../base/units.ts";
import { AcpiPm, sciIrq } from "../devices/acpi-pm.ts";
import { DebugConsole } from "../devices/debug-console.ts";
import { ExitPort } from "../devices/exit-port.ts";
import { Hpet } from "../devices/hpet.ts";
import { I8042 } from "../devices/i8042.ts";
import { I8254 } from "../devices/i8254.ts";
import { Mc146818 } from "../devices/mc146818.ts";
import { PcTestdev } from "../devices/pc-testdev.ts";
import { Port92 } from "../devices/port92.ts";
import { PostCode } from "../devices/post-code.ts";
import { ResetControl } from "../devices/reset-control.ts";
import { Uart16550 } from "../devices/uart16550.ts";
import type { BoardDevice } from "../fabric/board.ts";
import type { Clock } from "../fabric/clock.ts";
import type { CharBackend } from "../fabric/device.ts";
import type { InterruptRouter } from "../fabric/interrupt.ts";
import type { MachineControl } from "../fabric/machine-control.ts";
import type { GuestMemory } from "../fabric/memory.ts";
import type { BoardChip } from "../vmm/hypervisor.ts";

/** COM1 to COM4 of the LPC bridge (bhyve, pci_lpc.c). */
export const serialPorts = [
  { number: 1, port: 0x3f8, irq: 4 }, { number: 2, port: 0x2f8, irq: 3 },
  { number: 3, port: 0x3e8, irq: 4 }, { number: 4, port: 0x2e8, irq: 3 },
] as const;

/** The 8254 is wired to pin 2 of the I/O APIC, as the tables say. */
const timerPin = 2;
const rtcIrq = 8;
const keyboardIrq = 1;
const mouseIrq = 12;

export interface BoardEnv {
  readonly memory: GuestMemory;
  readonly clock: Clock;
  readonly interrupts: InterruptRouter;
  readonly control: MachineControl;
  wallClockMs(): number;
  /** Takes the bytes of port 0xE9; undefined leaves the port out. */
  readonly debugConsole: Pick<CharBackend, "put"> | undefined;
  readonly exitPort: boolean;
  readonly testDevice: boolean;
  /** Chips that the back end has itself. */
  readonly provided: ReadonlySet<BoardChip>;
  setRtc(seconds: number, memory: Readonly<Record<number, number>>): void;
  replaceLegacyTimers(replaced: boolean): void;
}

export interface BoardChips {
  readonly acpi: AcpiPm;
  readonly all: readonly BoardDevice[];
}

export function makeBoardChips(env: BoardEnv): BoardChips {
  const { clock, interrupts, control: machine, provided } = env;
  const hpet = new Hpet({
    clock, msi: interrupts,
    pin: (pin) => interrupts.line(-1, pin),
    legacy: [interrupts.line(0, timerPin), interrupts.line(rtcIrq, rtcIrq)],
    replaceLegacy: (replaced) => env.replaceLegacyTimers(replaced),
  });
  if (provided.has("mc146818")) {
    env.setRtc(Math.floor(env.wallClockMs() / 1000), cmosMemory(env.memory));
  }
  const acpi = new AcpiPm({ clock, sci: interrupts.line(sciIrq, sciIrq), machine });
  return {
    acpi,
    all: [
      ...(provided.has("hpet") ? [] : [hpet]),
      ...(provided.has("i8254") ? [] : [new I8254({ clock, irq: hpet.legacyInput(0) })]),
      ...(provided.has("mc146818") ? [] : [new Mc146818({ memory: cmosMemory(env.memory) },
        { clock, irq: hpet.legacyInput(1), wallClockMs: () => env.wallClockMs() })]),
      acpi,
      new I8042({
        keyboardIrq: interrupts.line(keyboardIrq, keyboardIrq),
        mouseIrq: interrupts.line(mouseIrq, mouseIrq), machine,
      }),
      new Port92(machine), new ResetControl(machine), new PostCode(),
      ...(env.debugConsole === undefined ? [] : [new DebugConsole(env.debugConsole)]),
      ...(env.testDevice ? [new PcTestdev(lineOf(interrupts))] : []),
      ...(env.exitPort ? [new ExitPort(machine)] : []),
    ],
  };
}

/** A global interrupt: up to 15 an ISA one too. */
const lineOf = (interrupts: InterruptRouter) => (number: number) =>
  interrupts.line(number < 16 ? number : -1, number);

/** The size of RAM where firmware of PCs looks for it: above 16 MiB, and above 4 GiB, in 64 KiB. */
function cmosMemory({ lowBytes, highBytes }: GuestMemory): Record<number, number> {
  const above16 = Math.max(0, Math.floor((lowBytes - 16 * MiB) / (64 * KiB)));
  const high = Math.min(Math.floor(highBytes / (64 * KiB)), 0xff_ffff);
  const extended = Math.min(Math.floor((Math.min(lowBytes, GiB) - MiB) / KiB), 0xffff);
  return {
    0x15: 640 & 0xff, 0x16: 640 >>> 8,
    0x17: extended & 0xff, 0x18: extended >>> 8, 0x30: extended & 0xff, 0x31: extended >>> 8,
    0x34: above16 & 0xff, 0x35: above16 >>> 8,
    0x5b: high & 0xff, 0x5c: (high >>> 8) & 0xff, 0x5d: high >>> 16,
  };
}

/** A serial line that nothing is plugged into. */
const unplugged: CharBackend = {
  put: () => true, get: () => -1, onReadable: () => {}, close: () => {},
};

export interface SerialEnv {
  readonly clock: Clock;
  readonly interrupts: InterruptRouter;
  /** The host side of COM1 to COM4, where there is one. */
  serial(number: number): CharBackend | undefined;
}

/** bhyve's bridge has all four, whether somebody listens or not. */
export function makeUarts({ clock, interrupts, serial }: SerialEnv): readonly BoardDevice[] {
  return serialPorts.map(({ number, port, irq }) => new Uart16550(
    { name: `COM${number}`, base: port },
    { clock, irq: interrupts.line(irq, irq), backend: serial(number) ?? unplugged },
  ));
}
