/** A command line of QEMU for a PC. */
import { MiB } from "../base/units.ts";
import { readBool } from "../config/values.ts";
import { sizeIn } from "./codec.ts";
import type { Entries } from "./entries.ts";
import type { Format } from "./format.ts";
import { functionsOf } from "./functions.ts";
import type { FunctionView } from "./functions.ts";
import { drivesOf, peekListener, takeBoard, takeDrive } from "./parts.ts";
import { optionText } from "./qemu-options.ts";
import { readQemu } from "./qemu-read.ts";
import { commandText } from "./shell-words.ts";

const plain = [["name", "-name"], ["uuid", "-uuid"], ["boot.kernel", "-kernel"],
  ["boot.initrd", "-initrd"], ["boot.cmdline", "-append"]] as const;

export const qemuArgv: Format = {
  name: "qemu-argv",
  help: "a command line of qemu-system-x86_64",
  endings: [],
  keepsReferences: false,
  read: readQemu,
  write(ours) {
    const groups: string[][] = [["qemu-system-x86_64"], ["-machine", "q35"], ["-nodefaults"]];
    for (const [key, flag] of plain) {
      const value = ours.take(key);
      groups.push(...(value === undefined ? [] : [[flag, flag === "-name" ? value.replaceAll(
        ",", ",,") : value]]));
    }
    groups.push(...boardGroups(ours));
    const views = functionsOf(ours);
    takeBoard(ours, views);
    views.forEach((view, index) => groups.push(...deviceGroups(view, index)));
    groups.push(...serialGroups(ours));
    return { text: commandText(groups), losses: [] };
  },
};

function isOn(text: string | undefined): boolean {
  const reading = readBool(text ?? "false");
  return "value" in reading && reading.value;
}

function boardGroups(ours: Entries): readonly string[][] {
  const groups: string[][] = [];
  const memory = sizeIn(MiB).toTheirs(ours.peek("memory.size") ?? "");
  if (memory !== undefined) {
    ours.take("memory.size");
    groups.push(["-m", memory]);
  }
  const topology = ["cpus", "sockets", "cores", "threads"].map((key) =>
    [key, ours.take(key)] as const);
  if (topology.some(([, value]) => value !== undefined)) {
    groups.push(["-smp", optionText("", topology)]);
  }
  const rom = ours.take("bootrom");
  const variables = rom === undefined ? undefined : ours.take("bootvars");
  if (rom !== undefined) {
    groups.push(variables === undefined ? ["-bios", rom] : ["-drive", optionText("", [
      ["if", "pflash"], ["format", "raw"], ["readonly", "on"], ["file", rom]])]);
  }
  if (variables !== undefined) {
    groups.push(["-drive",
      optionText("", [["if", "pflash"], ["format", "raw"], ["file", variables]])]);
  }
  const local = ours.take("rtc.use_localtime");
  if (local !== undefined) {
    groups.push(["-rtc", `base=${isOn(local) ? "localtime" : "utc"}`]);
  }
  if (ours.peek("acpi_tables") !== undefined && !isOn(ours.peek("acpi_tables"))) {
    ours.take("acpi_tables");
    groups.push(["-no-acpi"]);
  }
  const port = ours.take("gdb.port");
  if (port !== undefined) {
    groups.push(["-gdb", `tcp:${ours.take("gdb.address") ?? ""}:${port}`]);
  }
  if (isOn(ours.peek("gdb.wait"))) {
    ours.take("gdb.wait");
    groups.push(["-S"]);
  }
  return groups;
}

function serialGroups(ours: Entries): readonly string[][] {
  const paths = [1, 2, 3, 4].map((number) => ours.take(`lpc.com${number}.path`));
  const last = paths.findLastIndex((path) => path !== undefined);
  return paths.slice(0, last + 1).map((path) => ["-serial", path === undefined ? "none"
    : path.startsWith("unix:") ? `${path},server=on,wait=off`
    : path.startsWith("tcp=") ? `tcp:${path.slice("tcp=".length)},server=on,wait=off` : path]);
}

/** The flags of one function; none if QEMU has no such device. */
function deviceGroups(view: FunctionView, index: number): readonly string[][] {
  const { device, keys, slot } = view;
  const addr = slot.bus === 0 ? `0x${slot.slot.toString(16)}.${slot.func}` : undefined;
  const make = (model: string, ...fields: (readonly [string, string | undefined])[]) =>
    ["-device", optionText(model, [...fields, ["addr", addr]])];
  switch (device) {
    case "virtio-blk": case "nvme": case "ahci": return driveGroups(view, index, addr);
    case "virtio-net": case "e1000": return cardGroups(view, index, addr);
    case "virtio-rnd": keys.take("device"); return [make("virtio-rng-pci")];
    case "hda": keys.take("device");
      return [["-device", "intel-hda"], make("hda-duplex")];
    case "virtio-9p": {
      keys.take("device");
      const id = `share${index}`;
      return [["-fsdev", optionText("local", [["id", id], ["path", keys.take("path")],
        ["security_model", "none"], ["readonly", isOn(keys.take("ro")) ? "on" : undefined]])],
        make("virtio-9p-pci", ["fsdev", id], ["mount_tag", keys.take("sharename")])];
    }
    case "xhci":
      if (keys.peek("slot.1.device") !== "tablet") {
        return [];
      }
      keys.pass("device", "slot.1.device");
      return [["-device", "qemu-xhci"], make("usb-tablet")];
    case "passthru": {
      if (keys.peek("bus") === undefined) {
        return [];
      }
      keys.take("device");
      const hex = (key: string) => Number(keys.take(key) ?? 0).toString(16);
      return [make("vfio-pci",
        ["host", `${hex("bus").padStart(2, "0")}:${hex("slot").padStart(2, "0")}.${hex("func")}`])];
    }
    case "fbuf": {
      const listener = peekListener(view);
      if (!listener || listener.port < 5900) {
        return [];
      }
      keys.pass("device", "rfb", "tcp");
      const address = listener.address ?? "127.0.0.1";
      return [["-vnc", `${address.includes(":") ? `[${address}]` : address}:${
        listener.port - 5900}`]];
    }
    default: return [];
  }
}

function driveGroups(
  view: FunctionView, index: number, addr: string | undefined,
): readonly string[][] {
  return drivesOf(view).flatMap((drive, number) => {
    const id = `disk${index}${number === 0 ? "" : `.${number}`}`;
    const model = { virtio: "virtio-blk-pci", nvme: "nvme", ahci: drive.cd ? "ide-cd" : "ide-hd" };
    const readOnly = isOn(drive.keys.take("ro"));
    return [["-drive", optionText("", [["if", "none"], ["id", id], ["format", "raw"],
      ["readonly", readOnly ? "on" : undefined], ["file", takeDrive(drive)]])],
    ["-device", optionText(model[drive.bus], [["drive", id], ["serial", drive.keys.take("ser")],
      ["bootindex", drive.keys.take("bootindex")],
      ["addr", number === 0 ? addr : undefined]])]];
  });
}

function cardGroups(
  { device, keys }: FunctionView, index: number, addr: string | undefined,
): readonly string[][] {
  const backend = keys.peek("backend");
  if (backend === undefined || /[:,]/.test(backend)) {
    return [];
  }
  keys.pass("device", "backend");
  const user = backend === "slirp";
  if (user && isOn(keys.peek("open"))) {
    keys.take("open");
  }
  const id = `net${index}`;
  const forward = keys.peek("hostfwd");
  const one = user && forward !== undefined && !forward.includes(";");
  return [["-netdev", optionText(user ? "user" : "tap", [["id", id],
    ["ifname", user ? undefined : backend], ["hostfwd", one ? keys.take("hostfwd") : undefined],
    ["script", user ? undefined : "no"], ["downscript", user ? undefined : "no"]])],
  ["-device", optionText(device === "e1000" ? "e1000" : "virtio-net-pci", [["netdev", id],
    ["mac", keys.take("mac")], ["addr", addr]])]];
}
