/** What a machine finds in memory and registers when it starts: boot ROM, or tables and kernel. */
import { acpiDisableCommand, acpiEnableCommand, acpiPorts, sciIrq, sleepTypeS5,
} from "../devices/acpi-pm.ts";
import { fwCfgPort } from "../devices/fw-cfg.ts";
import { hpetBase, hpetCapabilities } from "../devices/hpet.ts";
import type { Board } from "../fabric/board.ts";
import type { PciHost } from "../fabric/pci/host.ts";
import { readBootFile, readBootModules } from "../firmware/boot-file.ts";
import { loadBoot, type LoadedBoot } from "../firmware/boot.ts";
import { buildFirmwareTables, type FirmwareOptions } from "../firmware/tables.ts";
import type { GuestMemory } from "../fabric/memory.ts";
import type { Vm } from "../vmm/hypervisor.ts";
import { serialPorts } from "./board-chips.ts";
import { hasFwCfg, type MachinePlan } from "./plan.ts";

export interface StartUpParts {
  readonly plan: MachinePlan;
  readonly memory: GuestMemory;
  readonly vm: Pick<Vm, "setLevelTriggered">;
  readonly board: Board;
  readonly pci: PciHost;
}

/** Writes the tables and loads the kernel, as firmware and loader of a PC do. */
export async function loadKernel(parts: StartUpParts, kernel: string): Promise<LoadedBoot> {
  const { plan: { globals }, memory } = parts;
  setLevelTriggered(parts);
  const tables = writeTables(parts);
  return loadBoot({
    memory, tables,
    kernel: readBootFile("boot.kernel", kernel),
    initrd: globals.initrd === undefined ? undefined
      : readBootFile("boot.initrd", globals.initrd),
    modules: readBootModules("boot.modules", globals.modules),
    commandLine: globals.commandLine,
  });
}

function writeTables({ plan, memory, pci }: StartUpParts) {
  const { globals, topology, hostName } = plan;
  return buildFirmwareTables({
    ...describeBoard(plan, pci),
    memory,
    cpus: topology,
    acpi: globals.acpiTables && globals.acpiTablesInMemory ? acpiHardware : undefined,
    mpTable: globals.mpTable,
    smbios: globals,
    uuid: globals.uuid,
    name: globals.name,
    hostName,
  });
}

export const acpiHardware = {
  ...acpiPorts, enableCommand: acpiEnableCommand, disableCommand: acpiDisableCommand,
  sciIrq, sleepTypeS5,
} as const;

/** What ACPI tables say of the board, once its devices are placed. */
export function describeBoard(
  plan: MachinePlan, pci: PciHost,
): Pick<FirmwareOptions, "pci" | "hpet" | "serialPorts" | "fwCfgPort"> {
  const lpc = plan.functions.find(({ device }) => device === "lpc");
  return {
    pci: { windows: pci.windows(), routes: pci.routes(), lpc: lpc?.at },
    hpet: { base: hpetBase, capabilities: hpetCapabilities },
    serialPorts: lpc === undefined ? [] : serialPorts,
    fwCfgPort: hasFwCfg(plan) ? fwCfgPort : undefined,
  };
}

const edgeLevelPort = 0x4d0;

/** Firmware tells the 8259 pair which inputs PCI and ACPI share: they are level-triggered. */
function setLevelTriggered({ board, pci, vm }: StartUpParts): void {
  const mask = [...pci.routing.levelIrqs(), sciIrq].reduce((bits, irq) => bits | (1 << irq), 0);
  vm.setLevelTriggered?.(mask);
  board.ports.write(edgeLevelPort, 1, mask & 0xff);
  board.ports.write(edgeLevelPort + 1, 1, mask >>> 8);
}
