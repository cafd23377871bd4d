/** Serial ports and host devices of VMX files. */
import type { Draft } from "./draft.ts";
import type { Entries } from "./entries.ts";
import type { FunctionView } from "./functions.ts";

export function isTrue(text: string): boolean {
  return text.toLowerCase() === "true";
}

export function readSerial(theirs: Entries, draft: Draft): void {
  for (let number = 0; number < 4; number += 1) {
    const port = theirs.under(`serial${number}.`);
    const at = port.at();
    const kind = port.peek("filetype");
    const name = port.peek("filename") ?? "";
    const value = kind === "device" ? name : kind === "file" ? `file:${name}`
      : kind === "pipe" ? `unix:${name}`
      : kind === "network" ? tcpOf(name) : undefined;
    if (isTrue(port.take("present") ?? "TRUE") && value !== undefined) {
      port.pass("filetype", "filename", "startconnected", "yieldonmsrread", "pipe.endpoint");
      draft.set(`lpc.com${number + 1}.path`, value, at);
    }
  }
}

/** `tcp://address:port`, or without the address. */
function tcpOf(name: string): string | undefined {
  const [, address, port] = /^(?:tcp|telnet):\/\/([^:]*):([0-9]+)$/.exec(name) ?? [];
  return port === undefined ? undefined
    : `tcp=${address === undefined || address === "" ? "0.0.0.0" : address}:${port}`;
}

export function writeSerial(ours: Entries): readonly (readonly [string, string])[] {
  return [0, 1, 2, 3].flatMap((number) => {
    const path = ours.peek(`lpc.com${number + 1}.path`);
    const [kind, name] = path === undefined || /^(stdio|pty)$/.test(path) ? []
      : path.startsWith("file:") ? ["file", path.slice("file:".length)]
      : path.startsWith("unix:") ? ["pipe", path.slice("unix:".length)]
      : path.startsWith("tcp=") ? ["network", `tcp://${path.slice("tcp=".length)}`]
      : ["device", path];
    if (kind === undefined || name === undefined) {
      return [];
    }
    ours.take(`lpc.com${number + 1}.path`);
    const port = `serial${number}`;
    return [[`${port}.present`, "TRUE"], [`${port}.fileType`, kind],
      [`${port}.fileName`, name]] as const;
  });
}

/** `pciPassthruN.id = "00000:001:00.0"`, bus in decimal, slot and function in hexadecimal. */
export function readPassthru(theirs: Entries, draft: Draft): void {
  for (const name of theirs.names().filter((each) => /^pcipassthru[0-9]+$/.test(each))) {
    const device = theirs.under(`${name}.`);
    const entry = device.entry("id");
    const [, bus, slot, func] = /^[0-9]+:([0-9]+):([0-9a-f]{2})\.([0-7])$/i
      .exec(entry?.value ?? "") ?? [];
    if (entry && bus !== undefined && slot !== undefined) {
      device.pass("id", "present");
      draft.add({ device: "passthru", at: entry.at, keys: [["bus", String(Number(bus))],
        ["slot", String(Number.parseInt(slot, 16))], ["func", func]] });
    }
  }
}

export function writePassthru(
  views: readonly FunctionView[],
): readonly (readonly [string, string])[] {
  const devices = views.filter(({ device, keys }) => device === "passthru"
    && ["bus", "slot", "func"].every((key) => /^[0-9]+$/.test(keys.peek(key) ?? "")));
  return devices.flatMap(({ keys }, number) => {
    keys.take("device");
    const [bus = "", slot = "", func = ""] = ["bus", "slot", "func"].map((key) => keys.take(key));
    const hex = Number(slot).toString(16).padStart(2, "0");
    return [[`pciPassthru${number}.present`, "TRUE"],
      [`pciPassthru${number}.id`, `00000:${bus.padStart(3, "0")}:${hex}.${func}`]] as const;
  });
}
