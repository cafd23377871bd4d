/** A board as the machine describes it to the tables, with devices to route. */
import { GuestMemory } from "../../src/fabric/memory.ts";
import { BarPlacement } from "../../src/fabric/pci/placement.ts";
import { PciRouting } from "../../src/fabric/pci/routing.ts";
import { GiB, MiB } from "../../src/base/units.ts";
import type { FirmwareOptions } from "../../src/firmware/tables.ts";

export function guestMemory(sizeBytes: number = 16 * MiB): GuestMemory {
  return new GuestMemory(new ArrayBuffer(sizeBytes), 0, sizeBytes);
}

const silent = { set: () => {} };

/** Firmware options of a board with `slots` slots of four pins each. */
export function boardOptions(changes: Partial<FirmwareOptions> = {}, slots = 3): FirmwareOptions {
  const routing = new PciRouting({
    router: { line: () => silent, send: () => {} }, bootRom: false, ioapicPins: 32,
  });
  for (let slot = 1; slot <= slots; slot += 1) {
    for (const pin of [1, 2, 3, 4]) {
      routing.route(0, slot, pin);
    }
  }
  const windows = new BarPlacement(4 * GiB).placeBus([]);
  return {
    memory: guestMemory(),
    cpus: { sockets: 1, cores: 2, threads: 1 },
    pci: {
      windows: new Map([[0, windows]]), routes: routing.routes(),
      lpc: { bus: 0, slot: 31, func: 0 },
    },
    acpi: {
      pm1Event: 0x400, pm1Control: 0x404, pmTimer: 0x408, gpe0: 0x40c, smiCommand: 0xb2,
      enableCommand: 0xa0, disableCommand: 0xa1, sciIrq: 9, sleepTypeS5: 5,
    },
    hpet: { base: 0xfed0_0000, capabilities: 0x8086_a201 },
    serialPorts: [
      { number: 1, port: 0x3f8, irq: 4 }, { number: 2, port: 0x2f8, irq: 3 },
      { number: 3, port: 0x3e8, irq: 4 }, { number: 4, port: 0x2e8, irq: 3 },
    ],
    mpTable: true, smbios: {}, uuid: undefined, name: "vm0", hostName: "host.example",
    ...changes,
  };
}
