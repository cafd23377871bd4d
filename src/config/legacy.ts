/**
 * The option strings of bhyve's `-s slot,device,conf`: small grammars that turn `conf` into keys
 * below the device's node. Follows bhyve(8) of 15.1 and the parsers of its device models.
 */
import { ConfigError } from "../base/errors.ts";
import type { TreeNode } from "./tree.ts";
import { scanned, scannedInt } from "./values.ts";

/** Where a grammar puts its keys. */
export interface LegacyTarget {
  /** Sets a key of the device's node; a name with a dot is an error. */
  set(name: string, value: string): void;
  /** A node below the device's node, made if need be. */
  child(...names: readonly string[]): LegacyTarget;
}

/** Reads `conf`, which is undefined when there was no comma after the device's name. */
export type LegacyGrammar = (conf: string | undefined, target: LegacyTarget) => void;

export function targetOf(node: TreeNode): LegacyTarget {
  return {
    set: (name, value) => node.set(name, value),
    // A value in the way was warned about; bhyve then goes on at the root.
    child: (...names) => targetOf(node.create(names.join(".")) ?? node.root()),
  };
}

function reject(conf: string | undefined, message: string): never {
  throw new ConfigError({ key: "-s", ...(conf !== undefined && { value: conf }), message });
}

/** The text up to the first `separator`, and what follows it. */
function cut(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** `key=value,flag,…`: a word without `=` is a flag, also the empty one after a last comma. */
export const genericGrammar: LegacyGrammar = (conf, target) => {
  for (const item of conf?.split(",") ?? []) {
    const [name, value] = cut(item, "=");
    target.set(name, value ?? "true");
  }
};

/** The first field is the value of `key`, whatever it looks like; the rest is generic. */
export function firstField(key: string): LegacyGrammar {
  return (conf, target) => {
    if (conf !== undefined) {
      const [first, rest] = cut(conf, ",");
      target.set(key, first);
      genericGrammar(rest, target);
    }
  };
}

/** A disk: `path[,options]`. */
export const blockGrammar: LegacyGrammar = firstField("path");

/** A network card: `backend[,options]`. */
export const networkGrammar: LegacyGrammar = firstField("backend");

/** A serial line: everything, commas included, is the path. */
export const pathGrammar: LegacyGrammar = (conf, target) => {
  if (conf !== undefined) {
    target.set("path", conf);
  }
};

/** No options: whatever is given is passed over. */
export const noGrammar: LegacyGrammar = () => {};

/** NVMe: a disk, or `ram=MiB` in the first field. */
export const nvmeGrammar: LegacyGrammar = (conf, target) => {
  if (conf?.startsWith("ram=")) {
    firstField("ram")(conf.slice("ram=".length), target);
  } else {
    blockGrammar(conf, target);
  }
};

/** virtio-input wants its event device. */
export const inputGrammar: LegacyGrammar = (conf, target) => {
  if (conf === undefined) {
    reject(conf, "virtio-input is given without a path; allowed: virtio-input,/dev/input/eventN");
  }
  blockGrammar(conf, target);
};

/** virtio-9p: one `name=directory`, and flags. */
export const shareGrammar: LegacyGrammar = (conf, target) => {
  let shares = 0;
  for (const item of conf?.split(",") ?? []) {
    const [name, path] = cut(item, "=");
    if (path === undefined) {
      target.set(name, "true");
      continue;
    }
    shares += 1;
    if (shares > 1) {
      reject(conf, "more than one share is given; allowed: name=directory once, and flags");
    }
    target.set("sharename", name);
    target.set("path", path);
  }
};

const consolePortsMax = 16; // VIRTIO_CONSOLE ports that bhyve's model has.

/** virtio-console: `name=socket[,name=socket…]`. */
export const consoleGrammar: LegacyGrammar = (conf, target) => {
  const allowed = "allowed: name=socket, and up to 16 of them";
  if (conf === undefined) {
    // bhyve 15.1 crashes here.
    reject(conf, `virtio-console is given without a port; ${allowed}`);
  }
  for (const [index, item] of conf.split(",").entries()) {
    const [name, path] = cut(item, "=");
    if (index === consolePortsMax) {
      reject(conf, `too many ports; ${allowed}`);
    }
    const port = target.child("port", String(index));
    if (path === undefined) {
      reject(conf, `port "${name}" has no path; ${allowed}`);
    }
    port.set("name", name);
    port.set("path", path);
  }
};

/** xhci: `device[=option][,device…]`, one a slot from slot 1 on. */
export const usbGrammar: LegacyGrammar = (conf, target) => {
  for (const [index, item] of conf?.split(",").entries() ?? []) {
    const slot = target.child("slot", String(index + 1));
    const [device, option] = cut(item, "=");
    slot.set("device", device);
    if (option !== undefined && option !== "") {
      genericGrammar(option, slot);
    }
  }
};

const hostSlotForms = [
  new RegExp(`^pci0:${scanned}:${scanned}:${scanned}`),
  new RegExp(`^pci${scanned}:${scanned}:${scanned}`),
  new RegExp(`^${scanned}/${scanned}/${scanned}`),
];

/** passthru: the host's device as B/S/F, pciB:S:F, pci0:B:S:F or pptN, then options. */
export const passthruGrammar: LegacyGrammar = (conf, target) => {
  if (conf === undefined) {
    return;
  }
  const [selector, rest] = cut(conf, ",");
  if (selector.startsWith("ppt")) {
    target.set("pptdev", selector);
  } else {
    const form = hostSlotForms.find((each) => each.test(conf));
    const [, ...numbers] = form?.exec(conf) ?? [];
    if (numbers.length !== 3) {
      reject(conf, "not a host device; allowed: B/S/F, pciB:S:F, pci0:B:S:F, pptN");
    }
    for (const [index, name] of ["bus", "slot", "func"].entries()) {
      target.set(name, String(scannedInt(numbers[index] ?? "")));
    }
  }
  genericGrammar(rest, target);
};

const ahciPortsMax = 32; // AHCI 1.3.1, 3.1.4: ports implemented are one bit each of 32.

/** ahci: `hd:path` and `cd:path`, each followed by options for that port. */
export const ahciGrammar: LegacyGrammar = (conf, target) => {
  if (conf === undefined) {
    return;
  }
  const ports = target.child("port");
  // Only `,hd:` and `,cd:` begin a port; other commas part the options of one.
  const items = conf.split(/,(?=[hc]d:)/);
  for (const [index, item] of items.slice(0, ahciPortsMax).entries()) {
    const type = /^(hd|cd):/.exec(item)?.[1];
    const body = type === undefined ? item : item.slice(type.length + 1);
    if (body === "") {
      continue; // An empty port still takes its number.
    }
    if (type === undefined) {
      reject(conf, `port ${index} has no type; allowed: hd:path or cd:path, then its options`);
    }
    const port = ports.child(String(index));
    port.set("type", type);
    blockGrammar(body, port);
  }
};

/** ahci-hd and ahci-cd: one port. */
export function ahciPort(type: "hd" | "cd"): LegacyGrammar {
  return (conf, target) => {
    const port = target.child("port", "0");
    port.set("type", type);
    blockGrammar(conf, port);
  };
}

/** amd_hostbridge: the ids of an AMD bridge; options are passed over. */
export const amdBridgeGrammar: LegacyGrammar = (_conf, target) => {
  const ids = target.child("pcireg");
  ids.set("vendor", "0x1022");
  ids.set("device", "0x7432");
};

export interface LegacyDevice {
  /** Name after `-s slot,`. */
  readonly name: string;
  /** Value of the key `device`, if it differs: the name is then only for `-s`. */
  readonly device?: string;
  readonly grammar: LegacyGrammar;
}

/** Every name that `-s` of bhyve 15.1 knows, in the order of its help. */
export const legacyDevices: readonly LegacyDevice[] = [
  { name: "ahci", grammar: ahciGrammar },
  { name: "ahci-hd", device: "ahci", grammar: ahciPort("hd") },
  { name: "ahci-cd", device: "ahci", grammar: ahciPort("cd") },
  { name: "e1000", grammar: networkGrammar },
  { name: "dummy", grammar: genericGrammar },
  { name: "hda", grammar: genericGrammar },
  { name: "amd_hostbridge", device: "hostbridge", grammar: amdBridgeGrammar },
  { name: "hostbridge", grammar: genericGrammar },
  { name: "nvme", grammar: nvmeGrammar },
  { name: "uart", grammar: pathGrammar },
  { name: "virtio-9p", grammar: shareGrammar },
  { name: "virtio-blk", grammar: blockGrammar },
  { name: "virtio-console", grammar: consoleGrammar },
  { name: "virtio-input", grammar: inputGrammar },
  { name: "virtio-net", grammar: networkGrammar },
  { name: "virtio-rnd", grammar: genericGrammar },
  { name: "virtio-scsi", grammar: firstField("dev") },
  { name: "xhci", grammar: usbGrammar },
  { name: "fbuf", grammar: genericGrammar },
  { name: "lpc", grammar: genericGrammar },
  { name: "passthru", grammar: passthruGrammar },
];
