/**
 * Keys of a PCI function as the option string of `-s`: the reverse of the grammars of
 * `src/config/legacy.ts`. A string is used only if reading it gives the same keys again.
 */
import { ConfigError } from "../base/errors.ts";
import { legacyDevices, targetOf } from "../config/legacy.ts";
import { Tree } from "../config/tree.ts";
import type { Entries } from "./entries.ts";
import { numberedUnder } from "./functions.ts";

type Pairs = ReadonlyMap<string, string>;

/** Devices whose first field is the value of one key. */
const firstFields = new Map([
  ["virtio-blk", "path"], ["nvme", "path"], ["virtio-net", "backend"], ["e1000", "backend"],
  ["virtio-scsi", "dev"], ["virtio-input", "path"], ["uart", "path"],
]);

/** `device,options` for as many keys as it can say, which are taken; undefined if no name for `-s`
 * makes this device. */
export function legacyConf(device: string, keys: Entries): string | undefined {
  const wanted = new Map(keys.all().map(({ key, value }) => [key, value]));
  const candidates = [...candidatesOf(device, wanted, keys), device];
  for (const candidate of candidates) {
    const made = keysOf(candidate);
    if (made && [...made].every(([key, value]) => wanted.get(key) === value)) {
      keys.pass(...made.keys());
      return candidate;
    }
  }
  return undefined;
}

/** What the grammar makes of an option string; undefined if it is refused. */
function keysOf(candidate: string): Pairs | undefined {
  const [name = "", ...conf] = candidate.split(",");
  const device = legacyDevices.find((each) => each.name === name);
  if (!device) {
    return undefined;
  }
  const tree = new Tree(() => {});
  tree.root.set("device", device.device ?? device.name);
  try {
    device.grammar(conf.length === 0 ? undefined : conf.join(","), targetOf(tree.root));
  } catch (error) {
    if (error instanceof ConfigError) {
      return undefined;
    }
    throw error;
  }
  return new Map([...tree.root.entries()].map(({ key, value }) => [key, value]));
}

function candidatesOf(device: string, wanted: Pairs, keys: Entries): readonly string[] {
  switch (device) {
    case "ahci": return ahciCandidates(keys);
    case "virtio-9p": return shareCandidates(wanted);
    case "virtio-console": return consoleCandidates(keys);
    case "xhci": return usbCandidates(keys);
    case "passthru": return passthruCandidates(wanted);
    case "hostbridge":
      return wanted.get("pcireg.vendor") === "0x1022" ? ["amd_hostbridge"] : [];
    default: return [fields(device, wanted, firstFields.get(device))];
  }
}

/** `device[,first][,key=value…]`; keys with dots are for `-o`. */
function fields(device: string, wanted: Pairs, first?: string, prefix = ""): string {
  const ram = device === "nvme" ? wanted.get("ram") : undefined;
  const lead = ram !== undefined ? `ram=${ram}` : first === undefined ? undefined
    : wanted.get(first);
  const skip = new Set(["device", ram !== undefined ? "ram" : lead === undefined ? "" : first]);
  const rest = [...wanted].filter(([key, value]) => !skip.has(key) && !key.includes(".")
    && !/[,=]/.test(key) && !value.includes(","))
    .map(([key, value]) => value === "true" ? key : `${key}=${value}`);
  const name = device === "" ? [] : [device];
  return [...name, ...(lead === undefined ? [] : [prefix + lead]), ...rest].join(",");
}

function ahciCandidates(keys: Entries): readonly string[] {
  const ports = numberedUnder(keys, "port").map(({ number, keys: port }) => ({
    number, pairs: new Map(port.all().map(({ key, value }) => [key, value])),
  }));
  const text = ports.map(({ pairs }) => {
    const { type, rest } = withoutType(pairs);
    return fields("", rest, "path", `${type}:`);
  });
  const gapless = ports.every(({ number }, index) => number === index);
  const [only, second] = ports;
  const single = only && !second && only.number === 0 ? withoutType(only.pairs) : undefined;
  return [
    ...(single ? [fields(`ahci-${single.type}`, single.rest, "path")] : []),
    ...(gapless && ports.length > 0 ? [["ahci", ...text].join(",")] : []),
  ];
}

function withoutType(pairs: Pairs): { type: string; rest: Pairs } {
  const rest = new Map(pairs);
  const type = rest.get("type") ?? "";
  rest.delete("type");
  return { type, rest };
}

function shareCandidates(wanted: Pairs): readonly string[] {
  const flags = [...wanted].filter(([key, value]) =>
    !["device", "sharename", "path"].includes(key) && value === "true").map(([key]) => key);
  return [["virtio-9p", `${wanted.get("sharename")}=${wanted.get("path")}`, ...flags].join(",")];
}

function consoleCandidates(keys: Entries): readonly string[] {
  const ports = numberedUnder(keys, "port");
  return [["virtio-console", ...ports.map(({ keys: port }) =>
    `${port.peek("name")}=${port.peek("path")}`)].join(",")];
}

function usbCandidates(keys: Entries): readonly string[] {
  return [["xhci", ...numberedUnder(keys, "slot").map(({ keys: slot }) => slot.peek("device"))]
    .join(",")];
}

function passthruCandidates(wanted: Pairs): readonly string[] {
  const name = wanted.get("pptdev")
    ?? `${wanted.get("bus")}/${wanted.get("slot")}/${wanted.get("func")}`;
  const rest = new Map([...wanted].filter(([key]) =>
    !["pptdev", "bus", "slot", "func"].includes(key)));
  const tail = fields("", rest);
  return [["passthru", name, ...(tail === "" ? [] : [tail])].join(",")];
}
