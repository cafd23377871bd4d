/** All chips of a PC's board together, wired as a machine wires them. */
import { AcpiPm } from "../../../src/devices/acpi-pm.ts";
import { DebugConsole } from "../../../src/devices/debug-console.ts";
import { ExitPort } from "../../../src/devices/exit-port.ts";
import { Hpet } from "../../../src/devices/hpet.ts";
import { I8042 } from "../../../src/devices/i8042.ts";
import { I8254 } from "../../../src/devices/i8254.ts";
import { lapicBase } from "../../../src/devices/lapic/lapic.ts";
import { Mc146818 } from "../../../src/devices/mc146818.ts";
import { Port92 } from "../../../src/devices/port92.ts";
import { PostCode } from "../../../src/devices/post-code.ts";
import { ResetControl } from "../../../src/devices/reset-control.ts";
import { fakeGuest, type FakeGuest } from "../../../src/devices/testing/fake-guest.ts";
import { Uart16550 } from "../../../src/devices/uart16550.ts";
import { InterruptControllers } from "../../../src/vmm/software/interrupt-controllers.ts";
import { millisecondNs } from "../../../src/base/units.ts";
import type { CharBackend } from "../../../src/fabric/device.ts";
import { deviceContract } from "../../support/device-contract.ts";
import { assert, test } from "../../support/harness.ts";

const silent: CharBackend = {
  put: () => true, get: () => -1, onReadable: () => {}, close: () => {},
};

function plugBoard(guest: FakeGuest) {
  const { clock, machine } = guest;
  const controllers = new InterruptControllers({
    clock, cpus: 2, tscNow: () => clock.nowNs(), tscToNs: (_cpu, tsc) => tsc, wake: () => {},
  });
  const hpet = new Hpet({
    clock, msi: controllers,
    pin: (pin) => controllers.line(-1, pin),
    legacy: [controllers.line(0, 2), controllers.line(8, 8)],
  });
  const devices = [
    hpet,
    new I8254({ clock, irq: hpet.legacyInput(0) }),
    new Mc146818({}, { clock, irq: hpet.legacyInput(1), wallClockMs: () => clock.nowNs() / 1e6 }),
    new AcpiPm({ clock, sci: controllers.line(9, 9), machine }),
    new I8042({
      keyboardIrq: controllers.line(1, 1), mouseIrq: controllers.line(12, 12), machine,
    }),
    new Uart16550({ name: "COM1", base: 0x3f8 },
      { clock, irq: controllers.line(4, 4), backend: silent }),
    new DebugConsole(silent), new ExitPort(machine), new Port92(machine), new PostCode(),
    new ResetControl(machine),
  ];
  controllers.attach(guest);
  for (const device of devices) {
    device.attach(guest);
  }
  return { controllers, devices };
}

test("the 8254 interrupts through the 8259 and LINT0, then through pin 2 of the I/O APIC", () => {
  const guest = fakeGuest();
  const { controllers } = plugBoard(guest);
  const [lapic] = controllers.lapics;
  assert.ok(lapic);
  for (const [port, value] of [
    [0x20, 0x11], [0x21, 0x30], [0x21, 4], [0x21, 1], [0x21, 0xfe],
    [0x43, 0x34], [0x40, 0x9c], [0x40, 0x2e], // 100 Hz
  ] as const) {
    guest.outb(port, value);
  }
  guest.outb(0x20, 0x20);
  while (lapic.attention !== 0) {
    lapic.acknowledge();
    guest.outb(0x20, 0x20);
  }
  guest.clock.advance(11 * millisecondNs);
  assert.equal(lapic.acknowledge(), 0x30);
  guest.outb(0x20, 0x20);
  guest.outb(0x21, 0xff);
  guest.writel(lapicBase + 0xf0, 0x1ff);
  guest.writel(0xfec0_0000, 0x14);
  guest.writel(0xfec0_0010, 0x40);
  guest.clock.advance(10 * millisecondNs);
  assert.equal(lapic.acknowledge(), 0x40);
});

deviceContract({
  name: "whole board",
  plug: (guest) => {
    const { controllers, devices } = plugBoard(guest);
    const parts = [controllers.pic, controllers.ioapic, ...controllers.lapics];
    return {
      state: Object.fromEntries([...parts, ...devices].map((each, at) => [at, each.state])),
      reset: () => {
        for (const device of devices) {
          device.reset();
        }
        controllers.reset();
      },
      sync: () => {
        for (const each of [...parts, ...devices]) {
          each.sync();
        }
      },
      detach: () => {
        for (const device of devices) {
          device.detach();
        }
        controllers.detach();
      },
    };
  },
});
