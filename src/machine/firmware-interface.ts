/** What firmware finds at ports 0x510 and 0x511: bhyve's interface or QEMU's (`lpc.fwcfg`). */
import { ConfigError } from "../base/errors.ts";
import { FwCfg, type FwCfgFile } from "../devices/fw-cfg.ts";
import { Fwctl } from "../devices/fwctl.ts";
import type { BoardDevice } from "../fabric/board.ts";
import type { PciHost } from "../fabric/pci/host.ts";
import { makeAcpiImage } from "../firmware/acpi/tables.ts";
import { readBootFile } from "../firmware/boot-file.ts";
import { e820 } from "../firmware/e820.ts";
import { StructWriter, zeroTerminated } from "../firmware/struct-writer.ts";
import type { FirmwareFile } from "../config/firmware-file.ts";
import { hasFwCfg, type MachinePlan } from "./plan.ts";
import { acpiHardware, describeBoard } from "./start-up.ts";

/** Once devices are placed; bhyve's own comes with a boot ROM only. Throws ConfigError. */
export function firmwareInterface(plan: MachinePlan, pci: PciHost): BoardDevice | undefined {
  const { globals, topology, functions } = plan;
  if (hasFwCfg(plan)) {
    return new FwCfg({ cpus: topology.cpus, files: filesOf(plan, pci) });
  }
  const own = globals.firmwareInterface === "bhyve" && globals.bootRom !== undefined
    && functions.some(({ device }) => device === "lpc");
  return own ? new Fwctl({ cpus: topology.cpus }) : undefined;
}

function filesOf(plan: MachinePlan, pci: PciHost): readonly FwCfgFile[] {
  const { globals, topology } = plan;
  const order = bootOrder(plan);
  return [
    { name: "opt/bhyve/hw.ncpu", bytes: new StructWriter(4).u32(0, topology.cpus).bytes },
    { name: "etc/e820", bytes: memoryMap(globals.memoryBytes) },
    ...(order === "" ? [] : [{ name: "bootorder", bytes: zeroTerminated(order) }]),
    ...(globals.acpiTables ? makeAcpiImage({
      ...describeBoard(plan, pci), cpus: topology, acpi: acpiHardware,
    }).files() : []),
    ...plan.firmwareFiles.map(userFile),
  ];
}

/** A text goes with its zero byte, as in bhyve. */
function userFile({ name, content }: FirmwareFile): FwCfgFile {
  return { name, bytes: "text" in content ? zeroTerminated(content.text)
    : readBootFile("-f", content.path).bytes };
}

const e820EntryBytes = 20;

/** Base, length and type of each range. */
function memoryMap(memoryBytes: number): Uint8Array {
  const map = e820(memoryBytes);
  const writer = new StructWriter(map.length * e820EntryBytes);
  for (const [index, { base, length, type }] of map.entries()) {
    const at = index * e820EntryBytes;
    writer.u64(at, base).u64(at + 8, length).u32(at + 16, type);
  }
  return writer.bytes;
}

/** The devices with a `bootindex`, first things first, as Open Firmware paths (qemu_fwcfg.c). */
function bootOrder({ functions }: MachinePlan): string {
  const chosen = functions.flatMap(({ at, key, values }) => {
    const index = Number.parseInt(values["bootindex"] ?? "-1", 10);
    return index < 0 ? [] : [{ at, key: `${key}.bootindex`, index }];
  }).sort((a, b) => a.index - b.index);
  const twice = chosen.filter(({ index }, place) => chosen[place - 1]?.index === index);
  if (twice.length > 0) {
    throw new ConfigError(twice.map(({ key, index }) => ({
      key, value: String(index), message: "another device has this place; allowed: one each",
    })));
  }
  return chosen.map(({ at }) => `/pci@i0cf8/pci@${at.slot},${at.func}`).join("\n");
}
