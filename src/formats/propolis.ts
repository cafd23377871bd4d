/** propolis-standalone's TOML: `[main]`, block devices, and devices that use them. */
import { anyBool, readRows, sizeIn, writeRows } from "./codec.ts";
import type { Row } from "./codec.ts";
import { ConfigError } from "../base/errors.ts";
import { MiB } from "../base/units.ts";
import { pciLimits } from "../config/values.ts";
import type { PciSlot } from "../config/values.ts";
import { Draft } from "./draft.ts";
import type { Entries } from "./entries.ts";
import { entriesOfValue, finishReading } from "./foreign.ts";
import type { Format } from "./format.ts";
import { functionsOf } from "./functions.ts";
import type { FunctionView } from "./functions.ts";
import { takeBoard } from "./parts.ts";
import { readToml, tomlString } from "./toml.ts";

const trueFalse = anyBool("true", "false");

const rows: readonly Row[] = [
  ["name", "main.name"], ["cpus", "main.cpus"], ["memory.size", "main.memory", sizeIn(MiB)],
  ["bootrom", "main.bootrom"],
];
const numbers = new Set(["main.cpus", "main.memory"]);

/** Drivers of propolis and our devices; the word is where the host's side stands. */
const drivers = [
  ["pci-virtio-block", "virtio-blk"], ["pci-nvme", "nvme"], ["pci-virtio-viona", "virtio-net"],
  ["pci-virtio-9p", "virtio-9p"],
] as const;

export const propolis: Format = {
  name: "propolis-toml",
  help: "a configuration file of propolis-standalone",
  endings: [".toml"],
  keepsReferences: false,
  read(source, options) {
    const theirs = entriesOfValue(readToml(source));
    const draft = new Draft();
    readRows(rows, theirs, draft);
    const devices = theirs.under("dev.");
    for (const name of devices.names()) {
      readDevice(devices.under(`${name}.`), theirs, draft);
    }
    return finishReading(draft, theirs, source, options);
  },
  write(ours) {
    const views = functionsOf(ours);
    takeBoard(ours, views);
    const main = writeRows(rows, ours).map(([key, value]) =>
      `${key.slice("main.".length)} = ${numbers.has(key) ? value : tomlString(value)}\n`);
    const parts = views.flatMap((view, index) => devicePart(view, index) ?? []);
    return { text: [`[main]\n${main.join("")}`, ...parts].join("\n"), losses: [] };
  },
};

function readDevice(device: Entries, theirs: Entries, draft: Draft): void {
  const driver = device.peek("driver");
  const model = drivers.find(([word]) => word === driver)?.[1];
  const at = device.at();
  if (model === undefined) {
    return;
  }
  device.take("driver");
  const slot = slotOf(device);
  const back = theirs.under(`block_dev.${device.peek("block_dev") ?? ""}.`);
  switch (model) {
    case "virtio-blk":
    case "nvme": {
      if (back.peek("type") !== "file" || back.peek("path") === undefined) {
        return;
      }
      device.take("block_dev");
      back.take("type");
      const readOnly = trueFalse.toOurs(back.take("readonly") ?? "false");
      draft.add({ device: model, at, slot, keys: [["path", back.take("path")],
        ["ro", readOnly === "true" ? "true" : undefined]] });
      break;
    }
    case "virtio-net":
      draft.add({ device: model, at, slot, keys: [["backend", device.take("vnic")]] });
      break;
    case "virtio-9p":
      draft.add({ device: model, at, slot,
        keys: [["sharename", device.take("target")], ["path", device.take("source")]] });
  }
}

/** `pci-path = "bus.device.function"`. */
function slotOf(device: Entries): PciSlot | undefined {
  const entry = device.entry("pci-path");
  if (!entry) {
    return undefined;
  }
  const [, bus, slot, func] = /^([0-9]+)\.([0-9]+)\.([0-9]+)$/.exec(entry.value) ?? [];
  const found = { bus: Number(bus), slot: Number(slot), func: Number(func) };
  if (!(found.bus <= pciLimits.bus && found.slot <= pciLimits.slot
    && found.func <= pciLimits.func)) {
    throw new ConfigError({
      key: entry.at, value: entry.value, message: "is no pci-path; allowed: bus.device.function",
    });
  }
  device.take("pci-path");
  return found;
}

function devicePart({ slot, device, keys }: FunctionView, index: number): string | undefined {
  const driver = drivers.find(([, model]) => model === device)?.[0];
  if (driver === undefined || (keys.peek("path") === undefined && device === "nvme")) {
    return undefined;
  }
  keys.take("device");
  const lines = [`[dev.dev${index}]`, `driver = "${driver}"`];
  const place = `pci-path = "${slot.bus}.${slot.slot}.${slot.func}"`;
  const set = (word: string, key: string) => {
    const value = keys.take(key);
    return value === undefined ? [] : [`${word} = ${tomlString(value)}`];
  };
  switch (device) {
    case "virtio-net": lines.push(...set("vnic", "backend"), place); break;
    case "virtio-9p": lines.push(...set("source", "path"), ...set("target", "sharename"), place);
      break;
    default: {
      const readOnly = trueFalse.toTheirs(keys.take("ro") ?? "false") ?? "false";
      lines.push(`block_dev = "disk${index}"`, place, "", `[block_dev.disk${index}]`,
        "type = \"file\"", ...set("path", "path"), `readonly = ${readOnly}`);
    }
  }
  return `${lines.join("\n")}\n`;
}
