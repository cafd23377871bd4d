/** libvirt's domain XML, as its bhyve driver reads it (docs/drvbhyve.rst). */
import { ConfigError } from "../base/errors.ts";
import { KiB } from "../base/units.ts";
import { nearest } from "../config/suggest.ts";
import { readBool } from "../config/values.ts";
import { choice, readRows, sizeIn, writeRows } from "./codec.ts";
import type { Row } from "./codec.ts";
import { Draft } from "./draft.ts";
import type { Entries } from "./entries.ts";
import { finishReading } from "./foreign.ts";
import type { Format, WriteResult } from "./format.ts";
import { functionsOf } from "./functions.ts";
import { readDevices } from "./libvirt-read.ts";
import { deviceElements } from "./libvirt-write.ts";
import { takeBoard } from "./parts.ts";
import { readXml, writeXml } from "./xml.ts";
import type { Element } from "./xml.ts";

const rows: readonly Row[] = [
  ["name", "domain.name"], ["uuid", "domain.uuid"], ["cpus", "domain.vcpu"],
  ["sockets", "domain.cpu.topology@sockets"], ["cores", "domain.cpu.topology@cores"],
  ["threads", "domain.cpu.topology@threads"],
  ["bootrom", "domain.os.loader"], ["bootvars", "domain.os.nvram"],
  ["boot.kernel", "domain.os.kernel"], ["boot.initrd", "domain.os.initrd"],
  ["boot.cmdline", "domain.os.cmdline"],
  ["rtc.use_localtime", "domain.clock@offset", choice({ localtime: "true", utc: "false" })],
  ["x86.strictmsr", "domain.features.msrs@unknown", choice({ ignore: "false", fault: "true" })],
];

/** Sizes come in a unit of their own; KiB if it is not said. */
const units = new Map([
  ["b", 1], ["bytes", 1], ["KB", 1000], ["k", KiB], ["KiB", KiB], ["MB", 1e6], ["M", KiB ** 2],
  ["MiB", KiB ** 2], ["GB", 1e9], ["G", KiB ** 3], ["GiB", KiB ** 3], ["T", KiB ** 4],
  ["TiB", KiB ** 4],
]);

const repeated = new Set(["disk", "interface", "serial", "console", "graphics", "video", "input",
  "sound", "audio", "filesystem", "rng", "hostdev", "controller", "vcpupin", "boot", "arg",
  "bhyve:arg", "entry", "channel", "feature", "timer", "tpm"]);

/** How libvirt treats the domain, which is no part of the machine. */
const withoutMeaning = ["domain@type", "domain@id", "domain@xmlns:bhyve", "domain.os.type",
  "domain.os.type@arch", "domain.os.type@machine", "domain.os.loader@readonly",
  "domain.os.loader@type", "domain.features.apic", "domain.features.pae", "domain.vcpu@placement",
  "domain.on_poweroff", "domain.on_reboot", "domain.on_crash", "domain.title",
  "domain.description", "domain.devices.emulator",
  "domain.features", "domain.devices", "domain.cputune", "domain.memoryBacking", "domain.cpu"];

export const libvirt: Format = {
  name: "libvirt-xml",
  help: "a domain of libvirt, as its bhyve driver has it",
  endings: [".xml"],
  keepsReferences: false,
  read(source, options) {
    const theirs = readXml(source, (name) => repeated.has(name));
    if (!theirs.names(".").some((name) => name.split("@", 1)[0] === "domain")) {
      throw source.error(0, "is no domain; expected: <domain type='bhyve'>");
    }
    const draft = new Draft();
    theirs.pass(...withoutMeaning);
    readRows(rows, theirs, draft);
    readMemory(theirs, draft);
    readFeatures(theirs, draft);
    readDevices(theirs.under("domain.devices."), draft);
    return finishReading(draft, theirs, source, options);
  },
  write: writeDomain,
};

function writeDomain(ours: Entries): WriteResult {
  const values = new Map(writeRows(rows, ours));
  const memory = sizeIn(KiB).toTheirs(ours.peek("memory.size") ?? "");
  if (memory !== undefined) {
    ours.take("memory.size");
  }
  const pins = pinElements(ours);
  const wired = isOn(ours.peek("memory.wired"));
  const acpi = ours.peek("acpi_tables") === undefined || isOn(ours.peek("acpi_tables"));
  ours.pass("acpi_tables", ...(wired ? ["memory.wired"] : []));
  const views = functionsOf(ours);
  takeBoard(ours, views);
  const children = [
    ...texts(values, ["name", "uuid"]),
    ...(memory === undefined ? [] : [{ name: "memory", attributes: { unit: "KiB" },
      text: memory }]),
    ...(wired ? [{ name: "memoryBacking", children: [{ name: "locked" }] }] : []),
    ...texts(values, ["vcpu"]), ...cpuElements(values), ...pins,
    { name: "os", children: [{ name: "type", text: "hvm" },
      ...texts(values, ["os.loader", "os.nvram", "os.kernel", "os.initrd", "os.cmdline"])] },
    { name: "features", children: [...(acpi ? [{ name: "acpi" }] : []),
      ...(values.has("domain.features.msrs@unknown") ? [{ name: "msrs",
        attributes: { unknown: values.get("domain.features.msrs@unknown") } }] : [])] },
    ...(values.has("domain.clock@offset") ? [{ name: "clock",
      attributes: { offset: values.get("domain.clock@offset") } }] : []),
    { name: "devices", children: deviceElements(ours, views) },
  ];
  return { text: writeXml({ name: "domain", attributes: { type: "bhyve" }, children }),
    losses: [] };
}

function isOn(text: string | undefined): boolean {
  const reading = readBool(text ?? "false");
  return "value" in reading && reading.value;
}

function texts(values: ReadonlyMap<string, string>, names: readonly string[]): readonly Element[] {
  return names.flatMap((name) => {
    const text = values.get(`domain.${name}`);
    return text === undefined ? [] : [{ name: name.split(".").at(-1) ?? name, text }];
  });
}

function cpuElements(values: ReadonlyMap<string, string>): readonly Element[] {
  const attributes = Object.fromEntries(["sockets", "cores", "threads"].map((key) =>
    [key, values.get(`domain.cpu.topology@${key}`)]));
  return Object.values(attributes).every((value) => value === undefined) ? []
    : [{ name: "cpu", children: [{ name: "topology", attributes }] }];
}

function pinElements(ours: Entries): readonly Element[] {
  const pins = ours.under("vcpu.").names().flatMap((vcpu) => {
    const cpuset = ours.take(`vcpu.${vcpu}.cpuset`);
    return cpuset === undefined ? [] : [{ name: "vcpupin", attributes: { vcpu, cpuset } }];
  });
  return pins.length === 0 ? [] : [{ name: "cputune", children: pins }];
}

function readMemory(theirs: Entries, draft: Draft): void {
  const entry = theirs.entry("domain.memory");
  if (!entry) {
    return;
  }
  const word = theirs.take("domain.memory@unit") ?? "KiB";
  const unit = units.get(word);
  if (unit === undefined) {
    const near = nearest(word, units.keys());
    throw new ConfigError({ key: entry.at, value: word, message: `is no unit${near === undefined
      ? "" : `; did you mean ${near}?`}; allowed: ${[...units.keys()].join(", ")}` });
  }
  const size = sizeIn(unit).toOurs(entry.value);
  if (size === undefined) {
    throw new ConfigError({ key: entry.at, value: entry.value, message: "is no number" });
  }
  theirs.take("domain.memory");
  draft.set("memory.size", size, entry.at);
  if (theirs.peek("domain.currentMemory") === entry.value) {
    theirs.pass("domain.currentMemory", "domain.currentMemory@unit");
  }
}

function readFeatures(theirs: Entries, draft: Draft): void {
  const acpi = theirs.entry("domain.features.acpi");
  if (!acpi) {
    // Without the feature libvirt's driver starts bhyve without the tables.
    draft.set("acpi_tables", "false", theirs.under("domain").at());
  }
  theirs.take("domain.features.acpi");
  const locked = theirs.entry("domain.memoryBacking.locked");
  if (locked) {
    theirs.take("domain.memoryBacking.locked");
    draft.set("memory.wired", "true", locked.at);
  }
  const pins = theirs.under("domain.cputune.vcpupin.");
  for (const number of new Set(pins.names().map((name) => name.split("@", 1)[0] ?? ""))) {
    const vcpu = pins.take(`${number}@vcpu`);
    const entry = pins.entry(`${number}@cpuset`);
    if (vcpu !== undefined && entry && !entry.value.includes("^")) {
      pins.take(`${number}@cpuset`);
      draft.set(`vcpu.${vcpu}.cpuset`, entry.value, entry.at);
    }
  }
}
