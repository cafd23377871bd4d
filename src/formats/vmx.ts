/** VMware's VMX files: key = "value" lines, keys in any case. */
import { anyBool, choice, inverse, keysFrom, readRows, same, sizeIn, writeRows } from "./codec.ts";
import type { Codec, Row } from "./codec.ts";
import { MiB } from "../base/units.ts";
import { Draft } from "./draft.ts";
import type { Entries } from "./entries.ts";
import { assignmentLines, finishReading, foreignEntries } from "./foreign.ts";
import type { Format } from "./format.ts";
import { functionsOf } from "./functions.ts";
import type { FunctionView } from "./functions.ts";
import { driveKeys, drivesOf, listenerText, peekListener, takeBoard, takeDrive } from "./parts.ts";
import { isTrue, readPassthru, readSerial, writePassthru, writeSerial } from "./vmx-parts.ts";

/** "56 4d … - …", sixteen bytes as printed. */
const vmxUuid: Codec = { toOurs: uuidFromBytes, toTheirs: bytesFromUuid };

function uuidFromBytes(text: string): string | undefined {
  const digits = text.replace(/[\s-]/g, "").toLowerCase();
  return /^[0-9a-f]{32}$/.test(digits)
    ? digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5") : undefined;
}

function bytesFromUuid(text: string): string | undefined {
  const digits = text.replaceAll("-", "").toLowerCase();
  const bytes = digits.match(/../g)?.join(" ") ?? "";
  return /^[0-9a-f]{32}$/.test(digits) ? `${bytes.slice(0, 23)}-${bytes.slice(24)}` : undefined;
}

const upper = anyBool("TRUE", "FALSE");
const efi = "/usr/local/share/uefi-firmware/BHYVE_UEFI.fd";

const rows: readonly Row[] = [
  ["name", "displayName"], ["memory.size", "memsize", sizeIn(MiB)], ["cpus", "numvcpus"],
  ["uuid", "uuid.bios", vmxUuid], ["memory.wired", "sched.mem.pin", upper],
  ["bootrom", "firmware", choice({ efi })], ["bootvars", "nvram"],
  ["rtc.use_localtime", "rtc.diffFromUTC", inverse(choice({ 0: "true" }))],
  ["gdb.port", "debugStub.port.guest64"],
  ["system.serial_number", "serialNumber"], ["system.product_name", "hw.model"],
  ["board.product_name", "board-id"], ["chassis.asset_tag", "SMBIOS.assetTag"],
];

/** Keys are compared in lower case. */
const readingRows = rows.map(([ours, theirs, codec]) =>
  [ours, theirs.toLowerCase(), codec ?? same] as const);

/** What every VMX file has and no machine of ours needs. */
const withoutMeaning = [
  ".encoding", "config.version", "virtualhw.version", "guestos", "tools.synctime",
  "debugstub.listen.guest64",
];

const buses = [["scsi", "virtio"], ["sata", "ahci"], ["ide", "ahci"], ["nvme", "nvme"]] as const;
const driveRows: readonly Row[] = [["path", "filename"]];

export const vmx: Format = {
  name: "vmx",
  help: "a virtual machine of VMware",
  endings: [".vmx"],
  keepsReferences: false,
  read(source, options) {
    const lines = assignmentLines(source).all();
    const theirs = foreignEntries(lines.map((each) => ({ ...each, key: each.key.toLowerCase() })));
    const draft = new Draft();
    theirs.pass(...withoutMeaning);
    readRows(readingRows, theirs, draft);
    readTopology(theirs, draft);
    readDrives(theirs, draft);
    readCards(theirs, draft);
    readSerial(theirs, draft);
    readPassthru(theirs, draft);
    readScreen(theirs, draft);
    return finishReading(draft, theirs, source, options);
  },
  write(ours) {
    const lines: (readonly [string, string])[] = [[".encoding", "UTF-8"], ["config.version", "8"],
      ["virtualHW.version", "13"], ["guestOS", "other-64"]];
    const cores = ours.peek("cores");
    if (cores !== undefined && ours.peek("cpus") !== undefined
      && Number(ours.peek("sockets")) * Number(cores) === Number(ours.peek("cpus"))) {
      ours.pass("cores", "sockets");
      lines.push(["cpuid.coresPerSocket", cores]);
    }
    lines.push(...writeRows(rows, ours));
    const views = functionsOf(ours);
    takeBoard(ours, views);
    lines.push(...writeDrives(views), ...writeCards(views), ...writeSerial(ours),
      ...writePassthru(views), ...writeScreen(views));
    return { text: lines.map(([key, value]) => `${key} = "${value}"\n`).join(""), losses: [] };
  },
};

function readTopology(theirs: Entries, draft: Draft): void {
  const cores = theirs.entry("cpuid.corespersocket");
  const cpus = Number(theirs.peek("numvcpus") ?? 1);
  if (cores && cpus % Number(cores.value) === 0) {
    theirs.take(cores.key);
    draft.set("cores", cores.value, cores.at);
    draft.set("sockets", String(cpus / Number(cores.value)), cores.at);
  }
}

function readDrives(theirs: Entries, draft: Draft): void {
  for (const [word, bus] of buses) {
    const names = theirs.names().filter((name) => new RegExp(`^${word}[0-9]+:[0-9]+$`).test(name));
    for (const name of names) {
      const drive = theirs.under(`${name}.`);
      if (!isTrue(drive.take("present") ?? "TRUE") || drive.peek("filename") === undefined) {
        continue;
      }
      const at = drive.at();
      const cd = (drive.take("devicetype") ?? "").startsWith("cdrom");
      const readOnly = drive.peek("mode") === "independent-nonpersistent"
        || isTrue(drive.peek("readonly") ?? "FALSE");
      drive.pass("mode", "readonly");
      draft.add({ at, ...driveKeys(bus, cd, [...keysFrom(driveRows, drive),
        ["ro", readOnly ? "true" : undefined]]) });
    }
    for (const name of theirs.names().filter((each) => new RegExp(`^${word}[0-9]+$`).test(each))) {
      theirs.under(`${name}.`).pass("present", "virtualdev");
    }
  }
}

function writeDrives(views: readonly FunctionView[]): readonly (readonly [string, string])[] {
  const counts = { virtio: 0, ahci: 0, nvme: 0 };
  return views.flatMap(drivesOf).flatMap((drive) => {
    const word = buses.find(([, bus]) => bus === drive.bus)?.[0] ?? "scsi";
    const number = counts[drive.bus]++;
    const controller = `${word}${Math.floor(number / 15)}`;
    const name = `${controller}:${number % 15}`;
    const head = number % 15 === 0 ? [[`${controller}.present`, "TRUE"] as const] : [];
    const lines = [...head, [`${name}.present`, "TRUE"], [`${name}.fileName`, takeDrive(drive)],
      [`${name}.deviceType`, drive.cd ? "cdrom-image" : "disk"]] as [string, string][];
    if (upper.toTheirs(drive.keys.take("ro") ?? "false") === "TRUE") {
      lines.push([`${name}.readonly`, "TRUE"]);
    }
    return lines;
  });
}

function readCards(theirs: Entries, draft: Draft): void {
  for (const name of theirs.names().filter((each) => /^ethernet[0-9]+$/.test(each))) {
    const card = theirs.under(`${name}.`);
    const at = card.at();
    if (!isTrue(card.take("present") ?? "TRUE")) {
      continue;
    }
    const model = card.take("virtualdev") ?? "e1000";
    const kind = card.take("connectiontype");
    const named = card.take("networkname") ?? card.take("vnet");
    card.pass("addresstype", "startconnected");
    const mac = card.take("address") ?? card.take("generatedaddress");
    const backend = kind === "nat" ? "slirp" : named ?? `tap${name.slice("ethernet".length)}`;
    draft.add({ device: model === "vmxnet3" || model === "vmxnet" ? "virtio-net" : "e1000", at,
      keys: [["backend", backend], ["open", backend === "slirp" ? "true" : undefined],
        ["mac", mac]] });
  }
}

function writeCards(views: readonly FunctionView[]): readonly (readonly [string, string])[] {
  const cards = views.filter(({ device }) => device === "virtio-net" || device === "e1000");
  return cards.flatMap(({ device, keys }, number) => {
    const name = `ethernet${number}`;
    keys.take("device");
    const backend = keys.take("backend") ?? "";
    const mac = keys.take("mac");
    const nat = backend === "slirp";
    if (nat && keys.peek("open") === "true") {
      keys.take("open");
    }
    const lines: [string, string][] = [[`${name}.present`, "TRUE"],
      [`${name}.virtualDev`, device === "e1000" ? "e1000" : "vmxnet3"],
      [`${name}.connectionType`, nat ? "nat" : "custom"],
      ...(nat ? [] : [[`${name}.vnet`, backend] as [string, string]])];
    return mac === undefined ? lines
      : [...lines, [`${name}.addressType`, "static"], [`${name}.address`, mac]] as const;
  });
}

const screen = "remotedisplay.vnc.";

function readScreen(theirs: Entries, draft: Draft): void {
  const vnc = theirs.under(screen);
  const at = vnc.at();
  if (isTrue(vnc.peek("enabled") ?? "FALSE")) {
    vnc.take("enabled");
    draft.add({ device: "fbuf", at, keys: [
      ["rfb", listenerText(vnc.take("ip"), Number(vnc.take("port") ?? 5900))],
      ["w", theirs.take("svga.maxwidth")], ["h", theirs.take("svga.maxheight")],
      ["password", vnc.take("password")]] });
  }
  for (const [word, device, keys] of [
    ["usb_xhci.present", "xhci", [["slot.1.device", "tablet"]]], ["sound.present", "hda", []],
  ] as const) {
    const entry = theirs.entry(word);
    if (entry && isTrue(entry.value)) {
      theirs.pass(word, "usb.present", ...(device === "hda" ? ["sound.virtualdev"] : []));
      draft.add({ device, at: entry.at, keys });
    }
  }
}

function writeScreen(views: readonly FunctionView[]): readonly (readonly [string, string])[] {
  const lines: [string, string][] = [];
  const fbuf = views.find(({ device }) => device === "fbuf");
  const listener = fbuf && peekListener(fbuf);
  if (fbuf && listener) {
    fbuf.keys.pass("device", "rfb", "tcp");
    lines.push(["RemoteDisplay.vnc.enabled", "TRUE"],
      ["RemoteDisplay.vnc.port", String(listener.port)]);
    for (const [key, word] of [["w", "svga.maxWidth"], ["h", "svga.maxHeight"],
      ["password", "RemoteDisplay.vnc.password"]] as const) {
      const value = fbuf.keys.take(key);
      lines.push(...(value === undefined ? [] : [[word, value] as [string, string]]));
    }
    if (listener.address !== undefined) {
      lines.push(["RemoteDisplay.vnc.ip", listener.address]);
    }
  }
  for (const { device, keys } of views) {
    if (device === "xhci" && keys.peek("slot.1.device") === "tablet") {
      keys.pass("device", "slot.1.device");
      lines.push(["usb_xhci.present", "TRUE"]);
    } else if (device === "hda") {
      keys.take("device");
      lines.push(["sound.present", "TRUE"]);
    }
  }
  return lines;
}
