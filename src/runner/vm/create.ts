/** New machines: from a description in any format, or from a few words. */
import { isAbsolute, resolve, join } from "node:path";
import { ConfigError } from "../../base/errors.ts";
import { describeMachine } from "../../cli/config/sources.ts";
import { Entries } from "../../formats/entries.ts";
import { flat } from "../../formats/flat.ts";
import { removeTree } from "../../host/folders.ts";
import { devices } from "../../machine/registry.ts";
import { makeMachine, writeSettings } from "./folders.ts";
import type { MachineFolder } from "./folders.ts";
import { findImage, resizeImage } from "./images.ts";

export interface Wishes {
  readonly from?: string | undefined;
  readonly memory?: string | undefined;
  readonly cpus?: string | undefined;
  readonly kernel?: string | undefined;
  readonly initrd?: string | undefined;
  readonly cmdline?: string | undefined;
  readonly rom?: string | undefined;
  /** Size of a new disk. */
  readonly disk?: string | undefined;
  /** Base image below a disk that keeps only what differs. */
  readonly image?: string | undefined;
  /** Switch to join; without one the guest has a network of its own user's. */
  readonly tap?: string | undefined;
}

/** Throws ConfigError; nothing is left behind then. */
export function createMachine(root: string, name: string, wishes: Wishes): MachineFolder {
  const folder = makeMachine(root, name);
  try {
    const text = wishes.from === undefined ? fromWishes(root, folder, wishes)
      : fromDescription(wishes.from, name);
    writeSettings(folder, text);
    return folder;
  } catch (error) {
    removeTree(folder.path);
    throw error;
  }
}

function fromDescription(file: string, name: string): string {
  const entries = describeMachine(file, name);
  if (!entries) {
    throw new ConfigError({ key: "--from", value: file, message: "there is no such file" });
  }
  // The machine runs in its own folder; files named beside the description stay where they are.
  const moved = entries.map((each) => isFile(each.key) && !/^(unix|file|tcp|pty|stdio)/
    .test(each.value) && !isAbsolute(each.value) && !each.value.startsWith("%")
    ? { ...each, value: resolve(each.value) } : each);
  const { text, losses } = flat.write(new Entries(moved));
  const [loss] = losses;
  if (loss) {
    throw new ConfigError({ key: loss.key, value: loss.value ?? "", message: loss.reason });
  }
  return text;
}

function isFile(key: string): boolean {
  return /^pci\..*\.(path|overlay|rom)$|^boot\.(kernel|initrd)$|^bootrom$|^bootvars$/.test(key);
}

function fromWishes(root: string, folder: MachineFolder, wishes: Wishes): string {
  const lines: string[] = [`name=${folder.name}`, `memory.size=${wishes.memory ?? "512M"}`];
  const set = (key: string, value: string | undefined) => {
    if (value !== undefined) {
      lines.push(`${key}=${value}`);
    }
  };
  const file = (path: string | undefined) => path === undefined ? undefined : resolve(path);
  set("cpus", wishes.cpus);
  set("bootrom", file(wishes.rom));
  set("boot.kernel", file(wishes.kernel));
  set("boot.initrd", file(wishes.initrd));
  set("boot.cmdline", wishes.cmdline);
  lines.push("lpc.com1.path=unix:com1.sock", "pci.0.0.0.device=hostbridge");
  if (wishes.image !== undefined) {
    lines.push("pci.0.2.0.device=virtio-blk", `pci.0.2.0.path=${findImage(root, wishes.image)}`,
      "pci.0.2.0.overlay=disk0.qcow2");
  } else if (wishes.disk !== undefined) {
    resizeImage(join(folder.path, "disk0.img"), wishes.disk);
    lines.push("pci.0.2.0.device=virtio-blk", "pci.0.2.0.path=disk0.img");
  }
  if (devices.has("virtio-rnd")) {
    lines.push("pci.0.3.0.device=virtio-rnd");
  }
  if (devices.has("virtio-net")) {
    lines.push("pci.0.4.0.device=virtio-net", ...(wishes.tap === undefined
      ? ["pci.0.4.0.backend=slirp", "pci.0.4.0.open=true"] : [`pci.0.4.0.backend=${wishes.tap}`]));
  } else if (wishes.tap !== undefined) {
    throw new ConfigError({
      key: "--tap", value: wishes.tap, message: "there is no model of a network card yet",
    });
  }
  lines.push("pci.0.31.0.device=lpc");
  return `${lines.join("\n")}\n`;
}
