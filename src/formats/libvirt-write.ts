/** Our functions and serial lines as devices of a libvirt domain. */
import { readBool } from "../config/values.ts";
import type { PciSlot } from "../config/values.ts";
import type { Entries } from "./entries.ts";
import type { FunctionView } from "./functions.ts";
import { numberedUnder } from "./functions.ts";
import { drivesOf, peekListener, takeDrive } from "./parts.ts";
import type { Element } from "./xml.ts";

export function deviceElements(ours: Entries, views: readonly FunctionView[]): readonly Element[] {
  return [...views.flatMap(elementsOf), ...serialElements(ours)];
}

function isOn(text: string | undefined): boolean {
  const reading = readBool(text ?? "false");
  return "value" in reading && reading.value;
}

function address({ bus, slot, func }: PciSlot): Element {
  const hex = (value: number, digits: number) => `0x${value.toString(16).padStart(digits, "0")}`;
  return { name: "address", attributes: { type: "pci", domain: "0x0000", bus: hex(bus, 2),
    slot: hex(slot, 2), function: hex(func, 1) } };
}

function elementsOf(view: FunctionView): readonly Element[] {
  const { device, keys, slot } = view;
  switch (device) {
    case "virtio-blk": case "nvme": case "ahci":
      return drivesOf(view).map((drive, index) => diskElement(view, drive, index));
    case "virtio-net": case "e1000": return [cardElement(view)];
    case "virtio-rnd":
      keys.take("device");
      return [{ name: "rng", attributes: { model: "virtio" }, children: [
        { name: "backend", attributes: { model: "random" } }, address(slot)] }];
    case "virtio-9p":
      keys.take("device");
      return [{ name: "filesystem", children: [
        { name: "source", attributes: { dir: keys.take("path") } },
        { name: "target", attributes: { dir: keys.take("sharename") } },
        ...(isOn(keys.take("ro")) ? [{ name: "readonly" }] : []), address(slot)] }];
    case "passthru": return passthruElements(view);
    case "fbuf": return screenElements(view);
    case "xhci": return inputElements(view);
    case "hda":
      keys.take("device");
      return [{ name: "sound", attributes: { model: "ich7" }, children: [
        { name: "audio", attributes: { id: "1" } }, address(slot)] },
      { name: "audio", attributes: { type: "oss", id: "1" }, children: [
        ...soundEnd("output", keys.take("play")), ...soundEnd("input", keys.take("rec"))] }];
    default: return [];
  }
}

function soundEnd(name: string, dev: string | undefined): readonly Element[] {
  return dev === undefined ? [] : [{ name, attributes: { dev } }];
}

function diskElement(
  { slot }: FunctionView, drive: ReturnType<typeof drivesOf>[number], index: number,
): Element {
  const { bus, cd, keys } = drive;
  const file = takeDrive(drive);
  const letters = { virtio: "vd", ahci: "sd", nvme: "nvme" }[bus];
  const target = `${letters}${String.fromCharCode(97 + (slot.slot + index) % 26)}`;
  const readOnly = isOn(keys.take("ro"));
  const serial = keys.take("ser");
  const cache = isOn(keys.peek("nocache"));
  if (cache) {
    keys.take("nocache");
  }
  const driver = { name: "file", type: "raw", cache: cache ? "none" : undefined };
  return { name: "disk", attributes: { type: "file", device: cd ? "cdrom" : "disk" }, children: [
    { name: "driver", attributes: driver },
    { name: "source", attributes: { file } },
    { name: "target", attributes: { dev: target,
      bus: bus === "ahci" ? "sata" : bus } },
    ...(readOnly && !cd ? [{ name: "readonly" }] : []),
    ...(serial === undefined ? [] : [{ name: "serial", text: serial }]),
    ...(index === 0 ? [address(slot)] : [])] };
}

function cardElement({ device, keys, slot }: FunctionView): Element {
  keys.take("device");
  const backend = keys.take("backend") ?? "";
  const user = backend === "slirp";
  if (user && isOn(keys.peek("open"))) {
    keys.take("open");
  }
  const mac = keys.take("mac");
  const mtu = keys.take("mtu");
  return { name: "interface", attributes: { type: user ? "user" : "bridge" }, children: [
    ...(mac === undefined ? [] : [{ name: "mac", attributes: { address: mac } }]),
    { name: "model", attributes: { type: device === "e1000" ? "e1000" : "virtio" } },
    ...(user ? [] : [{ name: "target", attributes: { dev: backend } }]),
    ...(mtu === undefined ? [] : [{ name: "mtu", attributes: { size: mtu } }]), address(slot)] };
}

function passthruElements({ keys, slot }: FunctionView): readonly Element[] {
  if (keys.peek("bus") === undefined) {
    return [];
  }
  keys.take("device");
  const hex = (key: string, digits: number) =>
    `0x${Number(keys.take(key) ?? 0).toString(16).padStart(digits, "0")}`;
  return [{ name: "hostdev", attributes: { mode: "subsystem", type: "pci", managed: "no" },
    children: [{ name: "source", children: [{ name: "address", attributes: { domain: "0x0000",
      bus: hex("bus", 2), slot: hex("slot", 2), function: hex("func", 1) } }] }, address(slot)] }];
}

function screenElements(view: FunctionView): readonly Element[] {
  const { keys, slot } = view;
  const listener = peekListener(view);
  if (!listener) {
    return [];
  }
  keys.pass("device", "rfb", "tcp");
  const x = keys.take("w");
  const y = keys.take("h");
  const vga = keys.take("vga");
  return [
    { name: "graphics", attributes: { type: "vnc", port: String(listener.port),
      passwd: keys.take("password"), wait: isOn(keys.take("wait")) ? "yes" : undefined },
    children: [{ name: "listen", attributes: { type: "address",
      address: listener.address ?? "127.0.0.1" } }] },
    { name: "video", children: [
      ...(vga === undefined ? [] : [{ name: "driver", attributes: { vgaconf: vga } }]),
      { name: "model", attributes: { type: "gop" }, children: x === undefined && y === undefined
        ? [] : [{ name: "resolution", attributes: { x, y } }] }, address(slot)] },
  ];
}

function inputElements({ keys, slot }: FunctionView): readonly Element[] {
  const tablets = numberedUnder(keys, "slot").filter(({ keys: each }) =>
    each.peek("device") === "tablet");
  if (tablets.length === 0) {
    return [];
  }
  keys.take("device");
  tablets.forEach(({ keys: each }) => each.take("device"));
  return [
    { name: "controller", attributes: { type: "usb", index: "0", model: "nec-xhci" },
      children: [address(slot)] },
    ...tablets.map(() => ({ name: "input", attributes: { type: "tablet", bus: "usb" } })),
  ];
}

function serialElements(ours: Entries): readonly Element[] {
  return [1, 2, 3, 4].flatMap((number) => {
    const path = ours.take(`lpc.com${number}.path`);
    if (path === undefined) {
      return [];
    }
    const [, host, service] = /^tcp=(?:\[?([^\]]*?)\]?):([0-9]+)$/.exec(path) ?? [];
    const [, kind, file] = /^(unix|file):([^]*)$/.exec(path) ?? [];
    const type = path === "pty" || path === "stdio" ? path : service !== undefined ? "tcp"
      : kind ?? (/nmdm.*A$/.test(path) ? "nmdm" : "dev");
    const source = type === "tcp" ? { mode: "bind", host, service }
      : type === "nmdm" ? { master: path, slave: path.replace(/A$/, "B") }
      : type === "unix" ? { mode: "bind", path: file } : { path: file ?? path };
    return [{ name: "serial", attributes: { type }, children: [
      ...(type === "pty" || type === "stdio" ? [] : [{ name: "source", attributes: source }]),
      { name: "target", attributes: { port: String(number - 1) } }] }];
  });
}
