/**
 * Short words of structured texts for devices: `disk { path = … }`, `net { … }`, `cdrom`,
 * `console`, `rng`, `share`, and `device.N` groups with any keys of a device. They get real slots
 * in the order of the text.
 */
import { ConfigError } from "../base/errors.ts";
import type { Draft } from "./draft.ts";
import { slotOf } from "./draft.ts";
import { nearest } from "../config/suggest.ts";
import type { TextValue, Value } from "./value.ts";
import { leavesOf } from "./value.ts";

interface Shortcut {
  /** The key that a plain value stands for. */
  readonly main: string;
  readonly help: string;
  /** Which of several devices, by the value of a word of its own. */
  readonly kind?: { readonly word: string; readonly devices: Readonly<Record<string, string>> };
  readonly device?: string;
  /** Where the keys go below the function: `port.0.` for a drive of AHCI. */
  readonly below?: Readonly<Record<string, string>>;
  readonly fixed?: Readonly<Record<string, readonly (readonly [string, string])[]>>;
}

const drive = "port.0.";

const shortcuts: Readonly<Record<string, Shortcut>> = {
  disk: {
    main: "path", help: "a disk: path, bus (virtio, ahci, nvme), slot, keys of the device",
    kind: { word: "bus", devices: { virtio: "virtio-blk", ahci: "ahci", nvme: "nvme" } },
    below: { ahci: drive }, fixed: { ahci: [[`${drive}type`, "hd"]] },
  },
  cdrom: {
    main: "path", help: "a CD drive: path, slot, keys of an AHCI port", device: "ahci",
    below: { ahci: drive }, fixed: { ahci: [[`${drive}type`, "cd"]] },
  },
  net: {
    main: "backend", help: "a network card: backend, model (virtio, e1000), slot, mac, …",
    kind: { word: "model", devices: { virtio: "virtio-net", "virtio-net": "virtio-net",
      e1000: "e1000" } },
  },
  rng: { main: "slot", help: "random numbers for the guest: slot", device: "virtio-rnd" },
  share: { main: "path", help: "a shared folder: path, sharename, ro", device: "virtio-9p" },
};

/** Names at the top that are no keys. */
export const shortcutNames: readonly string[] = [
  ...Object.keys(shortcuts), "console", "device", "keys", "vm",
];

/** Sets what a member stands for; false if its name is no shortcut. Any device shortcut makes a
 * whole board. */
export function setShortcut(name: string, value: Value, draft: Draft): boolean {
  if (value.kind === "list" && shortcutNames.includes(name) && name !== "keys") {
    value.items.forEach((item) => setShortcut(name, item, draft));
    return true;
  }
  if (name === "console") {
    setConsole(value, draft);
    return true;
  }
  const shortcut = Object.hasOwn(shortcuts, name) ? shortcuts[name] : undefined;
  if (shortcut) {
    addShortcut(name, shortcut, value, draft);
  }
  return shortcut !== undefined;
}

type Fields = Map<string, TextValue>;

/** The words of a shortcut; a plain value is its main one. */
function fieldsOf(value: Value, main: string): Fields {
  const fields: Fields = new Map();
  for (const { path, leaf } of leavesOf(value)) {
    const name = path === "" ? main : path;
    const before = fields.get(name);
    if (before) {
      throw new ConfigError({
        key: leaf.at, message: `${name} is given twice, first at ${before.at}`,
      });
    }
    fields.set(name, leaf);
  }
  return fields;
}

function takeField(fields: Fields, name: string): TextValue | undefined {
  const found = fields.get(name);
  fields.delete(name);
  return found;
}

function addShortcut(name: string, shortcut: Shortcut, value: Value, draft: Draft): void {
  const fields = fieldsOf(value, shortcut.main);
  const device = shortcut.device ?? kindOf(name, shortcut, fields, value.at);
  const slot = takeField(fields, "slot");
  if (shortcut.main !== "slot" && !fields.has(shortcut.main)) {
    throw new ConfigError({
      key: value.at, message: `${name} has no ${shortcut.main}; allowed: ${shortcut.help}`,
    });
  }
  const below = shortcut.below?.[device] ?? "";
  const keys = [...fields].map(([key, { text }]) => [below + key, text] as const);
  const places = new Map([...fields].map(([key, { at }]) => [below + key, at]));
  draft.completeBoard();
  draft.add({
    device, at: value.at, keys: [...shortcut.fixed?.[device] ?? [], ...keys],
    slot: slot && slotOf(slot.text, slot.at),
  }, places);
}

function kindOf(name: string, { kind }: Shortcut, fields: Fields, at: string): string {
  const [standard = ""] = Object.values(kind?.devices ?? {});
  const given = takeField(fields, kind?.word ?? "");
  if (given === undefined) {
    return standard;
  }
  const allowed = Object.keys(kind?.devices ?? {});
  const found = allowed.includes(given.text) ? kind?.devices[given.text] : undefined;
  if (found === undefined) {
    const near = nearest(given.text, allowed);
    throw new ConfigError({
      key: given.at, value: given.text, message: `is no ${kind?.word} of ${name}`
        + `${near === undefined ? "" : `; did you mean ${near}?`}; allowed: ${allowed.join(", ")
        } (${at})`,
    });
  }
  return found;
}

/** `console = "stdio"`, or `console { path = …, port = com2 }`. */
function setConsole(value: Value, draft: Draft): void {
  const fields = fieldsOf(value, "path");
  const path = takeField(fields, "path");
  const port = takeField(fields, "port");
  const [[extra, leaf] = []] = fields;
  if (path === undefined || leaf !== undefined) {
    throw new ConfigError({
      key: leaf?.at ?? value.at, message: leaf === undefined ? "console has no path; allowed: "
        + "path, port" : `${extra} is nothing of console; allowed: path, port`,
    });
  }
  if (port !== undefined && !/^com[1-4]$/.test(port.text)) {
    throw new ConfigError({
      key: port.at, value: port.text, message: "allowed: com1, com2, com3, com4",
    });
  }
  draft.completeBoard();
  draft.set(`lpc.${port?.text ?? "com1"}.path`, path.text, path.at);
}

/** One `device.N` group: its model, perhaps its slot, and any keys of the device. */
export function addGroup(number: string, fields: Fields, draft: Draft, at: string): void {
  const device = takeField(fields, "device") ?? takeField(fields, "type");
  const slot = takeField(fields, "slot");
  if (device === undefined) {
    throw new ConfigError({
      key: at, message: `device.${number} has no device; allowed: device = virtio-blk and so on`,
    });
  }
  draft.completeBoard();
  draft.add({
    device: device.text, at: device.at,
    keys: [...fields].map(([key, { text }]) => [key, text] as const),
    slot: slot && slotOf(slot.text, slot.at),
  }, new Map([...fields].map(([key, leaf]) => [key, leaf.at])));
}
