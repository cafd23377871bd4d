/** Xen's xl.cfg(5), as far as a full virtual machine goes. */
import { MiB } from "../base/units.ts";
import { anyBool, choice, readRows, sizeIn, writeRows } from "./codec.ts";
import type { Row } from "./codec.ts";
import { Draft } from "./draft.ts";
import type { Entries, Loss } from "./entries.ts";
import { entriesOfValue, finishReading } from "./foreign.ts";
import type { Format } from "./format.ts";
import { functionsOf } from "./functions.ts";
import type { FunctionView } from "./functions.ts";
import { driveKeys, drivesOf, listenerText, peekListener, takeBoard, takeDrive } from "./parts.ts";
import type { Drive } from "./parts.ts";
import { readXlText, xlString } from "./xl-text.ts";

const oneZero = anyBool("1", "0");

const rows: readonly Row[] = [
  ["name", "name"], ["uuid", "uuid"], ["memory.size", "memory", sizeIn(MiB)], ["cpus", "vcpus"],
  ["boot.kernel", "kernel"], ["boot.initrd", "ramdisk"], ["boot.cmdline", "cmdline"],
  ["bootrom", "bios_path_override"],
  ["bootrom", "bios", choice({ ovmf: "/usr/local/share/uefi-firmware/BHYVE_UEFI.fd" })],
  ["acpi_tables", "acpi", oneZero], ["rtc.use_localtime", "localtime", oneZero],
];
const numbers = new Set(["memory", "vcpus", "acpi", "localtime"]);

/** How the guest is run, which here is always the same. */
const withoutMeaning = ["type", "builder", "apic"];

export const xl: Format = {
  name: "xl",
  help: "a domain of Xen's xl",
  endings: [".xl", ".cfg"],
  keepsReferences: false,
  read(source, options) {
    const theirs = entriesOfValue(readXlText(source));
    const draft = new Draft();
    if (theirs.peek("type") !== "pv" && theirs.peek("type") !== "pvh") {
      theirs.pass(...withoutMeaning);
    }
    theirs.take(theirs.peek("maxmem") === theirs.peek("memory") ? "maxmem" : "");
    readRows(rows, theirs, draft);
    readPins(theirs, draft);
    readDisks(theirs, draft);
    readCards(theirs, draft);
    readPassthru(theirs, draft);
    readSerial(theirs, draft);
    readScreen(theirs, draft);
    return finishReading(draft, theirs, source, options);
  },
  write(ours) {
    const lines = ["type = \"hvm\""];
    const losses: Loss[] = [];
    const set = (key: string, value: string) => lines.push(`${key} = ${value}`);
    const put = (key: string, value: string) => {
      const text = xlString(value);
      if (text === undefined) {
        losses.push({ key, value, reason: "a string of xl cannot hold it" });
      } else {
        set(key, text);
      }
    };
    const [bios, override] = ["bios", "bios_path_override"].map((word) =>
      rows.find(([, theirs]) => theirs === word));
    const known = bios?.[2]?.toTheirs(ours.peek("bootrom") ?? "") !== undefined;
    for (const [key, value] of writeRows(rows.filter((row) => row !== (known ? override : bios)),
      ours)) {
      (numbers.has(key) ? set : put)(key, value);
    }
    const views = functionsOf(ours);
    takeBoard(ours, views);
    const list = (key: string, items: readonly string[]) => {
      const texts = items.map(xlString);
      if (texts.length > 0) {
        set(key, `[ ${texts.map((text) => text ?? "\"\"").join(", ")} ]`);
      }
    };
    list("disk", diskItems(views));
    list("vif", cardItems(views));
    list("pci", passthruItems(views));
    list("serial", serialItems(ours));
    screenLines(views).forEach(([key, value]) =>
      /^[0-9]+$/.test(value) ? set(key, value) : put(key, value));
    return { text: `${lines.join("\n")}\n`, losses };
  },
};

/** `cpus = ["2", "3"]`, one a virtual CPU. */
function readPins(theirs: Entries, draft: Draft): void {
  const pins = theirs.under("cpus.");
  for (const number of pins.names()) {
    const entry = pins.entry(number);
    if (entry && /^[0-9,-]+$/.test(entry.value)) {
      pins.take(number);
      draft.set(`vcpu.${number}.cpuset`, entry.value, entry.at);
    }
  }
}

const positions = ["target", "format", "vdev", "access"] as const;

/** `format=raw, vdev=xvda, access=rw, target=/path`, or the same in fixed places. */
function readDisks(theirs: Entries, draft: Draft): void {
  const disks = theirs.under("disk.");
  for (const number of disks.names()) {
    const entry = disks.entry(number);
    const fields = new Map<string, string>();
    for (const [index, item] of (entry?.value ?? "").split(",").entries()) {
      const [, key, value] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(item) ?? [];
      const word = item.trim();
      if (key !== undefined && value !== undefined) {
        fields.set(key, value);
      } else if (word === "cdrom") {
        fields.set("devtype", "cdrom");
      } else if (positions[index] !== undefined && word !== "") {
        fields.set(positions[index], word.replace(/^(?:phy|file):/, ""));
      }
    }
    const target = fields.get("target");
    const vdev = fields.get("vdev") ?? "xvda";
    if (!entry || target === undefined || !["raw", undefined].includes(fields.get("format"))) {
      continue;
    }
    disks.take(number);
    const cd = fields.get("devtype") === "cdrom" || vdev.endsWith(":cdrom");
    const readOnly = ["r", "ro"].includes(fields.get("access") ?? "");
    draft.add({ at: entry.at, ...driveKeys(vdev.startsWith("xvd") ? "virtio" : "ahci", cd,
      [["path", target], ["ro", readOnly && !cd ? "true" : undefined]]) });
  }
}

function diskItems(views: readonly FunctionView[]): readonly string[] {
  const counts: Record<Drive["bus"], number> = { virtio: 0, ahci: 0, nvme: 0 };
  return views.flatMap(drivesOf).filter(({ bus }) => bus !== "nvme").map((drive) => {
    const letter = String.fromCharCode(97 + counts[drive.bus]++ % 26);
    const readOnly = oneZero.toTheirs(drive.keys.take("ro") ?? "false") === "1";
    // The target comes last: it alone may hold commas.
    return `format=raw, vdev=${drive.bus === "virtio" ? "xvd" : "hd"}${letter}, access=${
      readOnly || drive.cd ? "ro" : "rw"}${drive.cd ? ", devtype=cdrom" : ""}, target=${
      takeDrive(drive)}`;
  });
}

function readCards(theirs: Entries, draft: Draft): void {
  const cards = theirs.under("vif.");
  for (const number of cards.names()) {
    const entry = cards.entry(number);
    if (!entry) {
      continue;
    }
    const fields = new Map(entry.value.split(",").map((item) => {
      const [, key = "", value = ""] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(item) ?? [];
      return [key, value] as const;
    }));
    cards.take(number);
    draft.add({ device: fields.get("model") === "e1000" ? "e1000" : "virtio-net", at: entry.at,
      keys: [["backend", fields.get("vifname") ?? `tap${number}`], ["mac", fields.get("mac")]] });
  }
}

function cardItems(views: readonly FunctionView[]): readonly string[] {
  return views.filter(({ device }) => device === "virtio-net" || device === "e1000")
    .map(({ device, keys }) => {
      keys.take("device");
      const mac = keys.take("mac");
      return [...(mac === undefined ? [] : [`mac=${mac}`]),
        `model=${device === "e1000" ? "e1000" : "virtio-net"}`,
        `vifname=${keys.take("backend") ?? ""}`].join(",");
    });
}

/** `[0000:]01:00.0`, in hexadecimal. */
function readPassthru(theirs: Entries, draft: Draft): void {
  const devices = theirs.under("pci.");
  for (const number of devices.names()) {
    const entry = devices.entry(number);
    const [, ...parts] = /^(?:0000:)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i
      .exec(entry?.value ?? "") ?? [];
    if (entry && parts.length === 3) {
      devices.take(number);
      const [bus, slot, func] = parts.map((part) => String(Number.parseInt(part, 16)));
      draft.add({ device: "passthru", at: entry.at,
        keys: [["bus", bus], ["slot", slot], ["func", func]] });
    }
  }
}

function passthruItems(views: readonly FunctionView[]): readonly string[] {
  return views.filter(({ device, keys }) => device === "passthru"
    && keys.peek("bus") !== undefined).map(({ keys }) => {
    keys.take("device");
    const hex = (key: string, width: number) =>
      Number(keys.take(key) ?? 0).toString(16).padStart(width, "0");
    return `${hex("bus", 2)}:${hex("slot", 2)}.${hex("func", 1)}`;
  });
}

function readSerial(theirs: Entries, draft: Draft): void {
  const single = theirs.entry("serial");
  const several = theirs.under("serial.").all();
  for (const [index, { value, at }] of (single ? [single] : several).entries()) {
    const [, listen] = /^tcp:([^,]*:[0-9]+)(?:,server.*)?$/.exec(value) ?? [];
    const path = value === "pty" || value === "stdio" || value.startsWith("/") ? value
      : listen !== undefined ? `tcp=${listen.startsWith(":") ? `0.0.0.0${listen}` : listen}`
      : /^(?:unix|file):/.test(value) ? value : undefined;
    if (index < 4 && path !== undefined) {
      theirs.take(single ? "serial" : `serial.${index}`);
      draft.set(`lpc.com${index + 1}.path`, path, at);
    }
  }
}

function serialItems(ours: Entries): readonly string[] {
  const items: string[] = [];
  for (const port of ["com1", "com2", "com3", "com4"]) {
    const path = ours.peek(`lpc.${port}.path`);
    if (path === undefined) {
      break; // A list has no gaps.
    }
    ours.take(`lpc.${port}.path`);
    items.push(path.startsWith("tcp=") ? `tcp:${path.slice("tcp=".length)},server,nowait` : path);
  }
  return items;
}

const firstVncPort = 5900;

function readScreen(theirs: Entries, draft: Draft): void {
  const vnc = theirs.entry("vnc");
  if (vnc && theirs.peek("vnc") === "1") {
    theirs.pass("vnc", "vncunused");
    draft.add({ device: "fbuf", at: vnc.at, keys: [
      ["rfb", listenerText(theirs.take("vnclisten") ?? "127.0.0.1",
        firstVncPort + Number(theirs.take("vncdisplay") ?? 0))],
      ["password", theirs.take("vncpasswd")]] });
  }
  const pointer = theirs.entry("usbdevice");
  if (pointer?.value === "tablet") {
    theirs.pass("usbdevice", "usb");
    draft.add({ device: "xhci", at: pointer.at, keys: [["slot.1.device", "tablet"]] });
  }
  const sound = theirs.entry("soundhw");
  if (sound?.value === "hda") {
    theirs.take("soundhw");
    draft.add({ device: "hda", at: sound.at, keys: [] });
  }
}

function screenLines(views: readonly FunctionView[]): readonly (readonly [string, string])[] {
  const lines: [string, string][] = [];
  for (const view of views) {
    const { device, keys } = view;
    const listener = device === "fbuf" ? peekListener(view) : undefined;
    if (listener && listener.port >= firstVncPort) {
      keys.pass("device", "rfb", "tcp");
      lines.push(["vnc", "1"], ["vnclisten", listener.address ?? "127.0.0.1"],
        ["vncdisplay", String(listener.port - firstVncPort)]);
      const password = keys.take("password");
      lines.push(...(password === undefined ? [] : [["vncpasswd", password] as [string, string]]));
    } else if (device === "xhci" && keys.peek("slot.1.device") === "tablet") {
      keys.pass("device", "slot.1.device");
      lines.push(["usb", "1"], ["usbdevice", "tablet"]);
    } else if (device === "hda") {
      keys.take("device");
      lines.push(["soundhw", "hda"]);
    }
  }
  return lines;
}
