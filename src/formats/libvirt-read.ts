/** Devices of a libvirt domain read into our keys. */
import { pciLimits } from "../config/values.ts";
import type { PciSlot } from "../config/values.ts";
import type { Draft } from "./draft.ts";
import type { Entries } from "./entries.ts";
import { driveKeys, listenerText } from "./parts.ts";

/** Items of a numbered element, in order: `disk.0`, `disk.1`. */
function itemsOf(devices: Entries, name: string): readonly Entries[] {
  const numbers = new Set(devices.under(`${name}.`).names()
    .map((each) => /^[0-9]+/.exec(each)?.[0] ?? ""));
  return [...numbers].map((number) => devices.under(`${name}.${number}`));
}

export function readDevices(devices: Entries, draft: Draft): void {
  itemsOf(devices, "disk").forEach((item) => readDisk(item, draft));
  itemsOf(devices, "interface").forEach((item, index) => readCard(item, draft, index));
  itemsOf(devices, "filesystem").forEach((item) => readShare(item, draft));
  itemsOf(devices, "rng").forEach((item) => {
    if (item.peek("@model") === "virtio") {
      item.pass("@model", ".backend@model", ".backend");
      draft.add({ device: "virtio-rnd", at: item.at(), slot: addressOf(item), keys: [] });
    }
  });
  itemsOf(devices, "hostdev").forEach((item) => readPassthru(item, draft));
  itemsOf(devices, "serial").forEach((item, index) => readSerial(item, draft, index));
  readScreen(devices, draft);
  readInput(devices, draft);
  readSound(devices, draft);
}

/** `<address type='pci' bus='0x00' slot='0x03' function='0x0'/>`; others mean nothing to us. */
function addressOf(item: Entries): PciSlot | undefined {
  const address = item.under(".address@");
  if (address.peek("type") !== "pci") {
    address.takeAll();
    return undefined;
  }
  const [bus = 0, slot = 0, func = 0] = ["bus", "slot", "function"].map((key) =>
    Number(address.peek(key) ?? "0"));
  if (!(bus <= pciLimits.bus && slot <= pciLimits.slot && func <= pciLimits.func)) {
    return undefined;
  }
  address.pass("type", "domain", "bus", "slot", "function");
  return { bus, slot, func };
}

function readDisk(item: Entries, draft: Draft): void {
  const at = item.at();
  const bus = item.peek(".target@bus");
  const cd = item.peek("@device") === "cdrom";
  const path = item.peek(".source@file") ?? item.peek(".source@dev");
  const kind = bus === "virtio" ? "virtio" : bus === "nvme" ? "nvme"
    : bus === "sata" || bus === "ide" || bus === undefined ? "ahci" : undefined;
  const driver = item.peek(".driver@type");
  if (kind === undefined || path === undefined || ![undefined, "raw"].includes(driver)) {
    return;
  }
  item.pass("@type", "@device", ".source@file", ".source@dev", ".target@bus", ".target@dev",
    ".driver@type", ".driver@name");
  const readOnly = item.take(".readonly") !== undefined && !cd;
  const keys = [["path", path], ["ro", readOnly ? "true" : undefined],
    ["ser", item.take(".serial")], ["nocache",
      item.take(".driver@cache") === "none" ? "true" : undefined]] as const;
  draft.add({ at, slot: addressOf(item), ...driveKeys(kind, cd, keys) });
}

function readCard(item: Entries, draft: Draft, index: number): void {
  const at = item.at();
  const user = item.peek("@type") === "user";
  const model = item.peek(".model@type") ?? "virtio";
  if (model !== "virtio" && model !== "e1000") {
    return;
  }
  item.pass(".model@type", "@type", ".model", ".source@mode");
  const backend = user ? "slirp" : item.take(".target@dev") ?? `tap${index}`;
  const keys = [["backend", backend], ["open", user ? "true" : undefined],
    ["mac", item.take(".mac@address")], ["mtu", item.take(".mtu@size")]] as const;
  const device = model === "e1000" ? "e1000" : "virtio-net";
  draft.add({ device, at, slot: addressOf(item), keys });
}

function readShare(item: Entries, draft: Draft): void {
  const at = item.at();
  item.take("@type");
  item.pass("@accessmode", ".driver@type");
  draft.add({ device: "virtio-9p", at, slot: addressOf(item), keys: [
    ["sharename", item.take(".target@dir")], ["path", item.take(".source@dir")],
    ["ro", item.take(".readonly") === undefined ? undefined : "true"]] });
}

function readPassthru(item: Entries, draft: Draft): void {
  const at = item.at();
  const address = item.under(".source.address@");
  if (item.peek("@type") !== "pci" || address.peek("bus") === undefined) {
    return;
  }
  item.pass("@type", "@mode", "@managed", ".driver@name");
  address.pass("domain", "type");
  const number = (key: string) => String(Number(address.take(key) ?? "0"));
  draft.add({ device: "passthru", at, slot: addressOf(item),
    keys: [["bus", number("bus")], ["slot", number("slot")], ["func", number("function")]] });
}

function readSerial(item: Entries, draft: Draft, index: number): void {
  const at = item.at();
  const type = item.peek("@type");
  const source = item.under(".source@");
  const host = source.peek("host") ?? "0.0.0.0";
  const path = type === "nmdm" ? source.peek("master") : type === "pty" ? "pty"
    : type === "stdio" ? "stdio" : type === "dev" ? source.peek("path")
    : type === "file" && source.peek("path") !== undefined ? `file:${source.peek("path")}`
    : type === "unix" && source.peek("path") !== undefined ? `unix:${source.peek("path")}`
    : type === "tcp" && source.peek("mode") === "bind"
      ? `tcp=${listenerText(host, Number(source.peek("service") ?? ""))}` : undefined;
  const port = Number(item.peek(".target@port") ?? index);
  if (path === undefined || !(port >= 0 && port < 4)) {
    return;
  }
  item.pass("@type", ".target@port", ".target@type", ".target.model@name", ".protocol@type");
  source.pass("master", "slave", "path", "mode", "host", "service");
  draft.set(`lpc.com${port + 1}.path`, path, at);
}

function readScreen(devices: Entries, draft: Draft): void {
  const screen = itemsOf(devices, "graphics").find((item) => item.peek("@type") === "vnc");
  if (!screen) {
    return;
  }
  const at = screen.at();
  const [video] = itemsOf(devices, "video");
  const address = screen.take("@listen") ?? screen.peek(".listen@address");
  screen.pass("@type", ".listen@address", ".listen@type", "@autoport", "@websocket");
  const port = screen.take("@port");
  const wait = screen.take("@wait");
  video?.pass(".model@type", ".model@heads", ".model@primary", ".model");
  draft.add({ device: "fbuf", at, slot: video && addressOf(video), keys: [
    ["rfb", listenerText(address ?? "127.0.0.1", Number(port === "-1" ? 5900 : port ?? 5900))],
    ["w", video?.take(".model.resolution@x")], ["h", video?.take(".model.resolution@y")],
    ["vga", video?.take(".driver@vgaconf")], ["password", screen.take("@passwd")],
    ["wait", wait === "yes" ? "true" : undefined]] });
}

function readInput(devices: Entries, draft: Draft): void {
  for (const item of itemsOf(devices, "controller")) {
    const type = item.peek("@type");
    if (type === "usb" || type === "pci" || type === "sata" || type === "isa") {
      item.pass("@type", "@index", "@model");
      if (type !== "usb") {
        item.under(".address@").takeAll();
      }
    }
  }
  const tablets = itemsOf(devices, "input").filter((item) => item.peek("@type") === "tablet"
    && item.peek("@bus") === "usb");
  const usb = itemsOf(devices, "controller")
    .find((item) => item.peek(".address@type") === "pci");
  const [tablet] = tablets;
  if (tablet) {
    tablets.forEach((item) => {
      item.pass("@type", "@bus");
      item.under(".address@").takeAll();
    });
    draft.add({ device: "xhci", at: tablet.at(), slot: usb && addressOf(usb),
      keys: tablets.map((_item, index) => [`slot.${index + 1}.device`, "tablet"] as const) });
  }
}

function readSound(devices: Entries, draft: Draft): void {
  const [sound] = itemsOf(devices, "sound");
  const [audio] = itemsOf(devices, "audio");
  if (sound) {
    const at = sound.at();
    sound.pass("@model", ".audio@id");
    audio?.pass("@type", "@id");
    draft.add({ device: "hda", at, slot: addressOf(sound), keys: [
      ["play", audio?.take(".output@dev")], ["rec", audio?.take(".input@dev")]] });
  }
}
