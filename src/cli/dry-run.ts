/** `--dry-run`: what the machine of a valid configuration would look like. Starts nothing. */
import { highMemoryBase, lowMemoryLimit } from "../fabric/memory.ts";
import { ecamBase } from "../fabric/pci/placement.ts";
import { e820, e820Type } from "../firmware/e820.ts";
import type { Configuration } from "../config/configuration.ts";
import { describeBytes } from "../config/options.ts";

export function describeMachine(configuration: Configuration): string {
  return [
    summary(configuration), "", ...pciMap(configuration), "", ...memoryMap(configuration), "",
  ].join("\n");
}

function summary({ globals, topology }: Configuration): string {
  const { sockets, cores, threads, cpus } = topology;
  const source = globals.kernel ?? globals.bootRom ?? "nothing";
  return `${globals.name}: ${cpus} CPUs (${sockets} sockets, ${cores} cores, ${threads} threads), `
    + `${describeBytes(globals.memoryBytes)} of memory, starts ${source}`;
}

function pciMap({ functions }: Configuration): string[] {
  const lines = ["PCI functions (bus:slot.function):"];
  for (const { at: { bus, slot, func }, device, node } of functions) {
    const path = node.value("path");
    lines.push(`  ${bus}:${slot}.${func}  ${path === undefined ? device : `${device}  ${path}`}`);
  }
  return functions.length === 0 ? ["PCI functions: none"] : lines;
}

const typeNames = new Map<number, string>([
  [e820Type.ram, "RAM"], [e820Type.reserved, "reserved"], [e820Type.acpi, "ACPI tables"],
  [e820Type.nvs, "ACPI storage"],
]);

function memoryMap({ globals }: Configuration): string[] {
  const rows = e820(globals.memoryBytes).map(({ base, length, type }) =>
    ({ base, end: base + length, what: typeNames.get(type) ?? `type ${type}` }));
  rows.push({ base: lowMemoryLimit, end: ecamBase, what: "PCI memory below 4 GiB" });
  rows.push({ base: ecamBase, end: highMemoryBase, what: "PCI configuration space, APICs, ROM" });
  rows.sort((a, b) => a.base - b.base);
  return ["Memory:", ...rows.map(({ base, end, what }) => `  ${hex(base)}-${hex(end - 1)}  ${what}`)];
}

const addressDigits = 12;

function hex(address: number): string {
  return address.toString(16).padStart(addressDigits, "0");
}
