/** Pieces of machines that several foreign formats spell in their own ways. */
import type { Entries } from "./entries.ts";
import type { FunctionView } from "./functions.ts";
import { numberedUnder } from "./functions.ts";

/** A drive, on whatever controller it sits. */
export interface Drive {
  readonly bus: "virtio" | "ahci" | "nvme";
  readonly cd: boolean;
  /** Its keys: `path`, `ro`, `ser`, … */
  readonly keys: Entries;
  readonly of: FunctionView;
}

const driveBus = new Map([["virtio-blk", "virtio"], ["nvme", "nvme"]] as const);

/** The drives of a function; nothing is taken yet. */
export function drivesOf(view: FunctionView): readonly Drive[] {
  const { device, keys } = view;
  if (device === "ahci") {
    return numberedUnder(keys, "port").filter(({ keys: port }) => port.peek("type") !== undefined)
      .map(({ keys: port }) =>
        ({ bus: "ahci", cd: port.peek("type") !== "hd", keys: port, of: view }));
  }
  const bus = [...driveBus].find(([name]) => name === device)?.[1];
  return bus === undefined || keys.peek("path") === undefined ? []
    : [{ bus, cd: false, keys, of: view }];
}

/** Takes what makes a drive the drive it is, and gives its path. */
export function takeDrive({ keys, of }: Drive): string {
  of.keys.take("device");
  keys.take("type");
  return keys.take("path") ?? "";
}

/** The device name and keys of a drive that stands alone. */
export function driveKeys(
  bus: Drive["bus"], cd: boolean, keys: readonly (readonly [string, string | undefined])[],
): { device: string; keys: readonly (readonly [string, string | undefined])[] } {
  if (bus !== "ahci" && !cd) {
    return { device: bus === "nvme" ? "nvme" : "virtio-blk", keys };
  }
  return {
    device: "ahci",
    keys: [["port.0.type", cd ? "cd" : "hd"],
      ...keys.map(([key, value]) => [`port.0.${key}`, value] as const)],
  };
}

/** `[address:]port` of a frame buffer's `rfb`, taken; undefined if it says anything else. */
export function peekListener(view: FunctionView): { address?: string; port: number } | undefined {
  const text = view.keys.peek("rfb") ?? view.keys.peek("tcp");
  if (text === undefined) {
    return { port: 5900 };
  }
  const [, address, bare, port = ""]
    = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?([0-9]{1,5})$/.exec(text) ?? [];
  if (port === "") {
    return undefined;
  }
  const found = address ?? bare;
  return { ...(found !== undefined && found !== "" && { address: found }), port: Number(port) };
}

export function listenerText(address: string | undefined, port: number): string {
  const host = address?.includes(":") ? `[${address}]` : address;
  return host === undefined || host === "" ? String(port) : `${host}:${port}`;
}

/** What every reader adds by itself: the bridges, and wired memory for devices of the host. */
export function takeBoard(ours: Entries, views: readonly FunctionView[]): void {
  if (views.some(({ device }) => device === "passthru") && ours.peek("memory.wired") === "true") {
    ours.take("memory.wired");
  }
  for (const { device, keys, slot } of views) {
    const expected = device === "hostbridge" ? 0 : device === "lpc" ? 31 : undefined;
    if (slot.bus === 0 && slot.slot === expected && slot.func === 0) {
      keys.take("device");
    }
  }
}
