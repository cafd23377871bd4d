/** Guest files of vm-bhyve (sample-templates/config.sample): key="value" lines. */
import { anyBool, readRows, writeRows, inverse } from "./codec.ts";
import type { Row } from "./codec.ts";
import { Draft } from "./draft.ts";
import type { Entries, Loss } from "./entries.ts";
import { assignmentLines, finishReading } from "./foreign.ts";
import type { Format } from "./format.ts";
import { functionsOf } from "./functions.ts";
import type { FunctionView } from "./functions.ts";
import { driveKeys, drivesOf, listenerText, peekListener, takeBoard, takeDrive } from "./parts.ts";
import type { Source } from "./source.ts";

const yesNo = anyBool("yes", "no");
const roms = new Map([
  ["uefi", "/usr/local/share/uefi-firmware/BHYVE_UEFI.fd"],
  ["uefi-csm", "/usr/local/share/uefi-firmware/BHYVE_UEFI_CSM.fd"],
]);

const rows: readonly Row[] = [
  ["memory.size", "memory"],
  ["cpus", "cpu"], ["sockets", "cpu_sockets"], ["cores", "cpu_cores"], ["threads", "cpu_threads"],
  ["uuid", "uuid"],
  ["memory.wired", "wired_memory", yesNo],
  ["rtc.use_localtime", "utctime", inverse(yesNo)],
  ["x86.strictmsr", "ignore_bad_msr", inverse(yesNo)],
];

const soundRows = [["play", "sound_play"], ["rec", "sound_rec"]] as const;

export const vmBhyve: Format = {
  name: "vm-bhyve",
  help: "a guest's file of vm-bhyve",
  endings: [],
  keepsReferences: false,
  read(source, options) {
    const theirs = assignmentLines(source, { commentInQuotes: true });
    const draft = new Draft();
    readRows(rows, theirs, draft);
    readLoader(theirs, draft, source);
    readDisks(theirs, draft, source);
    readNetworks(theirs, draft);
    readOthers(theirs, draft);
    draft.maybe("name", options.machine === undefined ? nameFrom(source.name) : undefined,
      source.at(0));
    return finishReading(draft, theirs, source, options);
  },
  write(ours) {
    const lines = new Map<string, string>(writeRows(rows, ours));
    const losses = writeLoader(ours, lines);
    const views = functionsOf(ours);
    takeBoard(ours, views);
    writeDisks(views, lines);
    writeNetworks(views, lines);
    writeOthers(views, lines);
    ours.take("name");
    const text = [...lines].map(([key, value]) => `${key}="${value}"\n`).join("");
    return { text, losses };
  },
};

/** vm-bhyve names a guest by its file: `guest.conf`. */
function nameFrom(path: string): string | undefined {
  return /([^/]+)\.conf$/.exec(path)?.[1];
}

function readLoader(theirs: Entries, draft: Draft, source: Source): void {
  const loader = theirs.entry("loader");
  const rom = roms.get(loader?.value ?? "");
  if (loader && rom !== undefined) {
    theirs.take("loader");
    draft.set("bootrom", rom, loader.at);
  }
  if (theirs.peek("uefi_vars") === "yes") {
    draft.set("bootvars", besideFile(source, "uefi-vars.fd"), theirs.under("uefi_vars").at());
    theirs.take("uefi_vars");
  }
  for (const port of (theirs.take("comports") ?? "com1").split(" ")) {
    if (/^com[1-4]$/.test(port)) {
      draft.set(`lpc.${port}.path`, `/dev/nmdm-%(name).${port.slice(-1)}A`, source.at(0));
    }
  }
}

function writeLoader(ours: Entries, lines: Map<string, string>): readonly Loss[] {
  const rom = ours.peek("bootrom");
  const loader = [...roms].find(([, path]) => path === rom)?.[0];
  if (loader !== undefined) {
    ours.take("bootrom");
    lines.set("loader", loader);
  } else if (rom !== undefined) {
    lines.set("loader", "uefi-custom");
  }
  const ports = ["com1", "com2", "com3", "com4"].filter((port) => {
    const path = ours.peek(`lpc.${port}.path`);
    if (path === `/dev/nmdm-${ours.peek("name")}.${port.slice(-1)}A`) {
      ours.take(`lpc.${port}.path`);
      return true;
    }
    return false;
  });
  lines.set("comports", ports.join(" "));
  return rom !== undefined && loader === undefined
    ? [{ key: "bootrom", value: rom, reason: "uefi-custom has a fixed place of its own" }] : [];
}

/** Files of a guest lie in the folder of its description. */
function besideFile(source: Source, name: string): string {
  const folder = source.name.includes("/") ? source.name.replace(/[^/]*$/, "") : "";
  return folder + name;
}

const driveWords = new Map([
  ["virtio-blk", { bus: "virtio", cd: false }], ["nvme", { bus: "nvme", cd: false }],
  ["ahci-hd", { bus: "ahci", cd: false }], ["ahci-cd", { bus: "ahci", cd: true }],
] as const);

function readDisks(theirs: Entries, draft: Draft, source: Source): void {
  for (let number = 0; theirs.peek(`disk${number}_type`) !== undefined; number += 1) {
    const disk = theirs.under(`disk${number}_`);
    const type = disk.peek("type") ?? "";
    const drive = [...driveWords].find(([word]) => word === type)?.[1];
    const name = disk.peek("name");
    const place = disk.peek("dev") ?? "file";
    if (!drive || name === undefined || (place !== "file" && place !== "custom")) {
      continue;
    }
    const at = disk.entry("type")?.at ?? "";
    disk.pass("type", "name", "dev", "size");
    const options = (disk.take("opts") ?? "").split(",").filter((each) => each !== "")
      .map((each) => [each.split("=", 1)[0] ?? "",
        each.includes("=") ? each.slice(each.indexOf("=") + 1) : "true"] as const);
    const path = place === "custom" ? name : besideFile(source, name);
    draft.add({ at, ...driveKeys(drive.bus, drive.cd, [["path", path], ...options]) });
  }
}

function writeDisks(views: readonly FunctionView[], lines: Map<string, string>): void {
  let number = 0;
  for (const drive of views.flatMap(drivesOf)) {
    const word = [...driveWords].find(([, each]) => each.bus === drive.bus
      && each.cd === drive.cd)?.[0] ?? "virtio-blk";
    const name = takeDrive(drive);
    lines.set(`disk${number}_type`, word);
    lines.set(`disk${number}_name`, name);
    lines.set(`disk${number}_dev`, "custom");
    const options = drive.keys.left()
      .map(({ key, value }) => ({ name: key.split(".").at(-1) ?? "", value }))
      .filter(({ name: key, value }) => drive.keys.peek(key) === value && !/[,"#]/.test(value));
    drive.keys.pass(...options.map((each) => each.name));
    if (options.length > 0) {
      lines.set(`disk${number}_opts`, options.map((each) =>
        each.value === "true" ? each.name : `${each.name}=${each.value}`).join(","));
    }
    number += 1;
  }
}

function readNetworks(theirs: Entries, draft: Draft): void {
  for (let number = 0; theirs.peek(`network${number}_type`) !== undefined; number += 1) {
    const card = theirs.under(`network${number}_`);
    const device = card.peek("type") ?? "";
    if (device !== "virtio-net" && device !== "e1000") {
      continue;
    }
    const at = card.entry("type")?.at ?? "";
    card.take("type");
    // vm-bhyve makes a tap and puts it on the switch; which one is known at start only.
    const backend = card.take("device") ?? `tap${number}`;
    draft.add({ device, at, keys: [["backend", backend], ["mac", card.take("mac")]] });
  }
}

function writeNetworks(views: readonly FunctionView[], lines: Map<string, string>): void {
  const cards = views.filter(({ device }) => device === "virtio-net" || device === "e1000");
  for (const [number, { device, keys }] of cards.entries()) {
    keys.take("device");
    lines.set(`network${number}_type`, device);
    const backend = keys.take("backend");
    const mac = keys.take("mac");
    if (backend !== undefined) {
      lines.set(`network${number}_device`, backend);
    }
    if (mac !== undefined) {
      lines.set(`network${number}_mac`, mac);
    }
  }
}

function readOthers(theirs: Entries, draft: Draft): void {
  for (let number = 0; theirs.peek(`passthru${number}`) !== undefined; number += 1) {
    const entry = theirs.entry(`passthru${number}`);
    const [, bus, slot, func] = /^([0-9]+)\/([0-9]+)\/([0-9]+)$/.exec(entry?.value ?? "") ?? [];
    if (entry && func !== undefined) {
      theirs.take(entry.key);
      draft.add({ device: "passthru", at: entry.at,
        keys: [["bus", bus], ["slot", slot], ["func", func]] });
    }
  }
  const on = (key: string) => theirs.peek(key) === "yes" ? theirs.entry(key)?.at : undefined;
  const random = on("virt_random");
  if (random !== undefined) {
    theirs.take("virt_random");
    draft.add({ device: "virtio-rnd", at: random, keys: [] });
  }
  const graphics = on("graphics");
  if (graphics !== undefined) {
    theirs.take("graphics");
    const [width, height] = (theirs.take("graphics_res") ?? "800x600").split("x");
    const listen = theirs.take("graphics_listen") ?? "0.0.0.0";
    const port = Number(theirs.take("graphics_port") ?? 5900);
    const wait = yesNo.toOurs(theirs.peek("graphics_wait") ?? "no");
    if (wait !== undefined) {
      theirs.take("graphics_wait");
    }
    draft.add({ device: "fbuf", at: graphics, keys: [
      ["rfb", listenerText(listen, port)], ["w", width], ["h", height],
      ["wait", wait === "true" ? wait : undefined], ["vga", theirs.take("graphics_vga")],
      ["password", theirs.take("vnc_password")]] });
  }
  const mouse = on("xhci_mouse");
  if (mouse !== undefined) {
    theirs.take("xhci_mouse");
    draft.add({ device: "xhci", at: mouse, keys: [["slot.1.device", "tablet"]] });
  }
  const sound = on("sound");
  if (sound !== undefined) {
    theirs.take("sound");
    draft.add({ device: "hda", at: sound, keys: soundRows.map(([key, word]) =>
      [key, theirs.take(word) ?? (key === "play" ? "/dev/dsp0" : undefined)]) });
  }
}

function writeOthers(views: readonly FunctionView[], lines: Map<string, string>): void {
  const all = (device: string) => views.filter((view) => view.device === device);
  for (const [number, { keys }] of all("passthru").entries()) {
    if (keys.peek("bus") !== undefined) {
      keys.take("device");
      lines.set(`passthru${number}`,
        ["bus", "slot", "func"].map((key) => keys.take(key) ?? "0").join("/"));
    }
  }
  const [random] = all("virtio-rnd");
  if (random) {
    random.keys.take("device");
    lines.set("virt_random", "yes");
  }
  const [screen] = all("fbuf");
  const listener = screen && peekListener(screen);
  if (screen && listener) {
    const { keys } = screen;
    keys.pass("device", "rfb");
    lines.set("graphics", "yes");
    lines.set("graphics_listen", listener.address ?? "127.0.0.1");
    lines.set("graphics_port", String(listener.port));
    lines.set("graphics_res", `${keys.take("w") ?? "1024"}x${keys.take("h") ?? "768"}`);
    for (const [key, word] of [["wait", "graphics_wait"], ["vga", "graphics_vga"],
      ["password", "vnc_password"]] as const) {
      const value = keys.take(key);
      if (value !== undefined) {
        lines.set(word, key === "wait" ? yesNo.toTheirs(value) ?? "no" : value);
      }
    }
  }
  const [usb] = all("xhci");
  if (usb?.keys.peek("slot.1.device") === "tablet") {
    usb.keys.pass("device", "slot.1.device");
    lines.set("xhci_mouse", "yes");
  }
  const [sound] = all("hda");
  if (sound) {
    sound.keys.take("device");
    lines.set("sound", "yes");
    for (const [key, word] of soundRows) {
      const value = sound.keys.take(key);
      if (value !== undefined) {
        lines.set(word, value);
      }
    }
  }
}
