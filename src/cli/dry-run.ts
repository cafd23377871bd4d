/**
 * `--dry-run`: the machine is built as for a start, its kernel is loaded, its maps are described,
 * and it is thrown away. No disk is opened for writing, no serial line is opened, nothing runs.
 */
import { createLog } from "../base/log.ts";
import { GiB } from "../base/units.ts";
import type { Configuration } from "../config/configuration.ts";
import { describeBytes } from "../config/options.ts";
import type { PciAddress, PlacedFunction } from "../fabric/pci/host.ts";
import { readBootFile } from "../firmware/boot-file.ts";
import { e820, e820Type } from "../firmware/e820.ts";
import { WakeWord } from "../fabric/byte-ring.ts";
import { MachineDisks } from "../machine/block.ts";
import { HostClock } from "../machine/host-clock.ts";
import { Machine } from "../machine/machine.ts";
import { openPlannedShare } from "../machine/share.ts";
import { planMachine } from "../machine/plan.ts";
import { hypervisorFor } from "./backend.ts";
import { hostResources } from "./host-resources.ts";

/** The maps as text; throws ConfigError for what only building and loading finds. */
export async function dryRun(configuration: Configuration): Promise<string> {
  const notes: string[] = [];
  const log = createLog((_level, message) => notes.push(message));
  const disks = new MachineDisks(new WakeWord(), log);
  const hypervisor = hypervisorFor(configuration);
  const plan = planMachine(configuration, hypervisor);
  const machine = new Machine(plan, {
    hypervisor, clock: new HostClock(), entropy: { fill: () => {} }, log,
    wake: () => {}, wallClockMs: () => Date.now(), serial: () => undefined,
    openShare: openPlannedShare,
    openBlock: ({ values, ...each }) => disks.open({ ...each, values: { ...values, ro: "true" } }),
  });
  try {
    await machine.load();
    return [
      ...summary(configuration, notes), "", ...pciMap(machine.pci.functions()), "",
      ...memoryMap(configuration, machine), "",
      ...hostResources(configuration, plan.functions), "",
    ].join("\n");
  } finally {
    machine.destroy();
  }
}

function summary({ globals, topology }: Configuration, notes: readonly string[]): string[] {
  const { sockets, cores, threads, cpus } = topology;
  const kind = notes.length === 0 ? "" : ` (${notes.join("; ")})`;
  return [
    `Machine ${globals.name}, memory ${describeBytes(globals.memoryBytes)}, virtual CPUs ${cpus}: `
      + `sockets ${sockets}, cores ${cores}, threads ${threads}`,
    `Starts ${globals.kernel ?? globals.bootRom ?? "nothing"}${kind}`,
  ];
}

function pciMap(functions: readonly PlacedFunction[]): string[] {
  return [
    functions.length === 0 ? "PCI functions: none" : "PCI functions (bus:slot.function):",
    ...functions.flatMap(describeFunction),
  ];
}

function place({ bus, slot, func }: PciAddress): string {
  return `${bus}:${slot}.${func}`;
}

function describeFunction(each: PlacedFunction): string[] {
  const { name, vendor, device, bars, route } = each;
  const irq = route === undefined ? ""
    : `, interrupt ${route.isaIrq} (I/O APIC input ${route.ioapicPin})`;
  return [
    `  ${place(each)}  ${name} [${hex(vendor, 4)}:${hex(device, 4)}]${irq}`,
    ...bars.map(({ index, kind, address, size }) =>
      `         BAR ${index}: ${kind} ${hex(address, 4)}-${hex(address + size - 1, 4)}`),
  ];
}

const typeNames = new Map<number, string>([
  [e820Type.ram, "RAM"], [e820Type.reserved, "reserved"], [e820Type.acpi, "ACPI tables"],
  [e820Type.nvs, "ACPI storage"],
]);

interface Range {
  readonly base: number;
  readonly end: number;
  readonly what: string;
}

function memoryMap({ globals }: Configuration, { mmio, pci }: Machine): string[] {
  const ranges: Range[] = e820(globals.memoryBytes).map(({ base, length, type }) =>
    ({ base, end: base + length, what: typeNames.get(type) ?? `type ${type}` }));
  // Claims of BARs exist only while they decode, which with a boot ROM is later.
  const fixed = mmio.claims().filter(({ name }) => !/ BAR [0-9]$/.test(name));
  ranges.push(...fixed.map(({ name, base, size }) => ({ base, end: base + size, what: name })));
  for (const { bars, ...at } of pci.functions()) {
    for (const { index, address, size } of bars.filter(({ kind }) => kind !== "io")) {
      ranges.push({ base: address, end: address + size, what: `${place(at)} BAR ${index}` });
    }
  }
  if (globals.bootRom !== undefined) {
    const { length } = readBootFile("bootrom", globals.bootRom).bytes;
    ranges.push({ base: 4 * GiB - length, end: 4 * GiB, what: "boot ROM" });
  }
  ranges.sort((a, b) => a.base - b.base);
  return ["Memory:", ...ranges.map(({ base, end, what }) =>
    `  ${hex(base, addressDigits)}-${hex(end - 1, addressDigits)}  ${what}`)];
}

const addressDigits = 12;

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
