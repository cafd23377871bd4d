/** Random machines as flat keys, and the comparison of what comes back. */
import type { Entry } from "../../src/formats/entries.ts";

type Random = () => number;

const pick = <T>(random: Random, list: readonly T[]): T => {
  const found = list[random() % list.length];
  if (found === undefined) {
    throw new RangeError("an empty list");
  }
  return found;
};

const words = ["a", "disk", "x y", "it's", "ä€😀", "%(v)", "$HOME", "#", "1,2", "a=b", "\\", "q\"",
  "tab\there", "<&>", "ro", "0x10", "10min", "true", "]};", "/*", "<<EOD"];

/** Any text without a line break, never empty. */
export function randomText(random: Random): string {
  return Array.from({ length: 1 + random() % 3 }, () => pick(random, words)).join("");
}

const keys = ["cpus", "memory.size", "memory.wired", "uuid", "boot.kernel", "boot.cmdline",
  "lpc.com1.path", "lpc.com2.path", "x86.strictmsr", "disk", "vm", "console", "v", "keys.x",
  "device.1.path", "a.b.c", "bootrom", "x86.vmexit_on_hlt", "rtc.use_localtime", "gdb.port"];

const devices = ["virtio-blk", "ahci", "nvme", "virtio-net", "e1000", "uart", "xhci", "fbuf",
  "passthru", "virtio-9p", "virtio-console", "hostbridge", "lpc", "virtio-rnd", "hda"];

const below = ["path", "ro", "port.0.type", "port.0.path", "port.1.type", "port.1.path", "backend",
  "mac", "slot.1.device", "w", "bus", "slot", "func", "sharename", "port.0.name", "ser",
  "pcireg.vendor"];

/** Keys of any kind with any values; at most one of two keys of which one is below the other. */
export function randomKeys(random: Random): readonly Entry[] {
  const found = new Map<string, string>([["name", `vm${random() % 100}`]]);
  for (let count = random() % 8; count > 0; count -= 1) {
    found.set(pick(random, keys), randomText(random));
  }
  for (let count = random() % 4; count > 0; count -= 1) {
    const node = `pci.${random() % 2}.${random() % 32}.${random() % 8}`;
    found.set(`${node}.device`, pick(random, devices));
    for (let each = random() % 5; each > 0; each -= 1) {
      found.set(`${node}.${pick(random, below)}`, randomText(random));
    }
  }
  return [...found].filter(([key]) => ![...found.keys()].some((other) =>
    other !== key && key.startsWith(`${other}.`)))
    .map(([key, value]) => ({ key, value, at: "here" }));
}

const hex = (random: Random) => (random() % 256).toString(16).padStart(2, "0");

/** Devices as people have them: the sensible middle of what formats can say. */
const makers: readonly ((random: Random) => readonly (readonly [string, string])[])[] = [
  (random) => [["device", "virtio-blk"], ["path", `/vm/disk${random() % 9}.img`],
    ...(random() % 2 === 0 ? [["ro", "true"]] as const : [])],
  () => [["device", "nvme"], ["path", "/vm/n.img"]],
  (random) => [["device", "ahci"], ["port.0.type", random() % 2 === 0 ? "hd" : "cd"],
    ["port.0.path", "/vm/a b.iso"]],
  (random) => [["device", "virtio-net"], ["backend", `tap${random() % 9}`],
    ["mac", `00:a0:98:${hex(random)}:${hex(random)}:${hex(random)}`]],
  () => [["device", "e1000"], ["backend", "slirp"], ["open", "true"]],
  () => [["device", "virtio-rnd"]],
  (random) => [["device", "passthru"], ["bus", String(random() % 256)],
    ["slot", String(random() % 32)], ["func", String(random() % 8)]],
  (random) => [["device", "fbuf"], ["rfb", `127.0.0.1:${5900 + random() % 9}`], ["w", "800"],
    ["h", "600"], ["password", "a&b"]],
  () => [["device", "xhci"], ["slot.1.device", "tablet"]],
  () => [["device", "virtio-9p"], ["sharename", "src"], ["path", "/usr/src"]],
];

export function randomMachine(random: Random): readonly Entry[] {
  const found: (readonly [string, string])[] = [["name", `vm-${random() % 1000}`],
    ["memory.size", `${1 + random() % 4096}M`]];
  const maybe = (key: string, value: string) => {
    if (random() % 2 === 0) {
      found.push([key, value]);
    }
  };
  maybe("cpus", String(1 + random() % 8));
  maybe("boot.kernel", "/boot/vmlinuz");
  maybe("boot.cmdline", "console=ttyS0 root=/dev/vda1");
  maybe("rtc.use_localtime", pick(random, ["true", "false"]));
  maybe("uuid", "12345678-1234-1234-8234-123456789abc");
  maybe("lpc.com1.path", pick(random, ["stdio", "unix:/run/x.sock", "/dev/nmdm0A",
    "tcp=127.0.0.1:4000", "file:/var/log/x"]));
  maybe("acpi_tables", "false");
  found.push(["pci.0.0.0.device", "hostbridge"]);
  let slot = 2;
  for (const maker of makers) {
    if (random() % 2 === 0) {
      found.push(...maker(random).map(([key, value]) =>
        [`pci.0.${slot}.0.${key}`, value] as const));
      slot += 1 + random() % 2;
    }
  }
  found.push(["pci.0.31.0.device", "lpc"]);
  return found.map(([key, value]) => ({ key, value, at: "here" }));
}

/** Keys and values in no order. */
export function plain(entries: readonly Entry[]): readonly string[] {
  return entries.map(({ key, value }) => `${key}=${value}`).toSorted();
}
