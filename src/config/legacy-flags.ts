/** bhyve 15.1's flags, each turned into keys; the usage text is made from the same table. */
import { ConfigError, exitStatus } from "../base/errors.ts";
import { setFile, setOption } from "./file.ts";
import { legacyDevices, targetOf } from "./legacy.ts";
import { lpcDevices, setLpcDevice } from "./legacy-lpc.ts";
import { nearest } from "./suggest.ts";
import type { Tree } from "./tree.ts";
import { numberPrefix, readSlot, scanned, scannedInt, slotHelp } from "./values.ts";
import { setFirmwareFile } from "./firmware-file.ts";
import type { FirmwareFile } from "./firmware-file.ts";

/** What the flags act on. */
export interface FlagContext {
  readonly tree: Tree;
  /** One line on stderr, without the program's name. */
  readonly say: (line: string) => void;
  /** The text of a file, empty for a directory; throws HostError. */
  readonly readFile: (path: string) => string;
  readonly firmwareFiles: FirmwareFile[];
  /** Sets the keys of a machine that a file describes in a format of its own; false if the text
   * names no such file. */
  readonly readMachine?: (argument: string) => boolean;
  /** `-l comN` without a path: only a start makes it an error. */
  readonly incomplete: string[];
}

/** The command line is at its end: a list was asked for, or the usage. */
export class CommandLineEnd extends Error {
  readonly status: number;
  readonly output: string;
  readonly usage: boolean;
  /** Said after the usage. */
  readonly reason: string;

  constructor(status: number, { output = "", usage = false, reason = "" } = {}) {
    super("end of the command line");
    this.status = status;
    this.output = output;
    this.usage = usage;
    this.reason = reason;
  }
}

type Action = (argument: string, context: FlagContext) => void;

export interface Flag {
  readonly letter: string;
  /** Name of the argument in the usage, if there is one. */
  readonly argument?: string;
  readonly help: string;
  readonly act: Action;
}

function setting(letter: string, key: string, value: string, help: string): Flag {
  return { letter, help, act: (_argument, { tree }) => tree.set(key, value) };
}

function text(letter: string, argument: string, key: string, help: string): Flag {
  return { letter, argument, help, act: (value, { tree }) => tree.set(key, value) };
}

/** A wrong argument: exit status 64. */
function refuse(letter: string, value: string, message: string): never {
  throw new ConfigError({ key: `-${letter}`, value, message }, exitStatus.usage);
}

const setTopology: Action = (argument, { tree }) => {
  if (argument === "") {
    for (const key of ["sockets", "cores", "threads", "cpus"]) {
      tree.set(key, "1");
    }
    return;
  }
  for (const item of argument.split(",")) {
    const [, key, value] = /^(cpus|sockets|cores|threads)=([^]*)$/.exec(item) ?? [];
    if (key !== undefined && value !== undefined) {
      tree.set(key, value);
    } else if (item.includes("=")) {
      refuse("c", argument, "invalid cpu topology; allowed: N, cpus=N, sockets=N, cores=N, "
        + "threads=N, joined by commas");
    } else {
      tree.set("cpus", item);
    }
  }
};

const hostCpuMax = 1023;
/** bhyve 15.1 builds the key in a buffer of 16 bytes, so a long vCPU number cuts it. */
const pinKeyMax = 15;
const pinForm = new RegExp(`^${scanned}:${scanned}`);

const setPinning: Action = (argument, { tree, say }) => {
  const invalid = () => refuse("p", argument, "invalid pinning; allowed: vcpu:hostcpu");
  const [, first, second] = pinForm.exec(argument) ?? [];
  if (first === undefined || second === undefined) {
    say(`invalid format: ${argument}`);
    return invalid();
  }
  const vcpu = scannedInt(first);
  const cpu = scannedInt(second);
  if (vcpu < 0) {
    say(`invalid vcpu '${vcpu}'`);
    return invalid();
  }
  if (cpu < 0 || cpu > hostCpuMax) {
    say(`hostcpu '${cpu}' outside valid range from 0 to ${hostCpuMax}`);
    return invalid();
  }
  const key = `vcpu.${vcpu}.cpuset`.slice(0, pinKeyMax);
  const before = tree.value(key);
  tree.set(key, before === undefined ? String(cpu) : `${before},${cpu}`);
};

const setDebugger: Action = (argument, { tree }) => {
  const wait = argument.startsWith("w");
  if (wait) {
    tree.set("gdb.wait", "true");
  }
  const rest = wait ? argument.slice(1) : argument;
  const colon = rest.lastIndexOf(":");
  if (colon >= 0) {
    tree.set("gdb.address", rest.slice(0, colon));
  }
  tree.set("gdb.port", rest.slice(colon + 1));
};

const domainIdMax = 255;

const setDomain: Action = (argument, { tree, say }) => {
  const fields = new Map<string, string>();
  for (const item of argument.split(",")) {
    const [, field, value] = /^(id|size|domain_policy|cpus)=([^]*)$/.exec(item) ?? [];
    if (field !== undefined && value !== undefined) {
      fields.set(field, value);
      if (field === "id") {
        domainId(value);
      }
    }
  }
  const id = fields.get("id");
  if (id === undefined) {
    if (argument !== "") {
      say(`Missing NUMA domain ID in '${argument}'`);
    }
    refuse("n", argument, "invalid NUMA domain; allowed: id=N,size=S,cpus=LIST");
  }
  const path = `domains.${domainId(id)}`;
  const node = tree.root.node(path) ?? tree.root.create(path) ?? tree.root;
  for (const field of ["size", "domain_policy", "cpus"]) {
    const value = fields.get(field);
    if (value !== undefined) {
      node.set(field, value);
    }
  }
  if (!tree.bool("acpi_tables", true)) {
    refuse("n", argument, "NUMA needs ACPI; allowed: with acpi_tables=true");
  }
};

function domainId(value: string): number {
  const { value: id, length } = numberPrefix(value);
  if (length === 0 || length !== value.length || id < 0n || id > BigInt(domainIdMax)) {
    throw new ConfigError({
      key: "-n", value: `id=${value}`, message: `allowed: id from 0 to ${domainIdMax}`,
    });
  }
  return Number(id);
}

const setSlot: Action = (argument, { tree }) => {
  if ("help".startsWith(argument)) {
    const output = legacyDevices.map(({ name }) => `${name}\n`).join("");
    throw new CommandLineEnd(0, { output });
  }
  const [place = "", name, ...conf] = argument.split(",");
  const slot = readSlot(place);
  if (name === undefined || "wrong" in slot) {
    throw new ConfigError({
      key: "-s", value: argument, message: `allowed: slot,device[,options]; slot is ${slotHelp}`,
    });
  }
  const { bus, slot: number, func } = slot.value;
  const where = `pci slot ${bus}:${number}:${func}`;
  const device = legacyDevices.find((each) => each.name === name);
  if (!device) {
    const near = nearest(name, legacyDevices.map((each) => each.name));
    throw new ConfigError({
      key: "-s", value: argument, message: `${where}: unknown device "${name}"${near === undefined
        ? "" : `; did you mean ${near}?`}; allowed: those that -s help lists`,
    });
  }
  const path = `pci.${bus}.${number}.${func}`;
  if (tree.root.node(path)) {
    throw new ConfigError({
      key: "-s", value: argument, message: `${where} is already occupied; allowed: a free slot`,
    });
  }
  // A value in the way was warned about; bhyve then sets the keys at the root.
  const node = tree.root.create(path) ?? tree.root;
  node.set("device", device.device ?? device.name);
  device.grammar(conf.length === 0 ? undefined : conf.join(","), targetOf(node));
};

const setLpc: Action = (argument, { tree, incomplete }) => {
  if ("help".startsWith(argument)) {
    throw new CommandLineEnd(0, { output: lpcDevices.map((name) => `${name}\n`).join("") });
  }
  if (!setLpcDevice(tree, argument)) {
    refuse("l", argument, "invalid LPC device; allowed: those that -l help lists");
  }
  if (/^com[1-4]$/i.test(argument)) {
    incomplete.push(argument);
  }
};

const setKey: Action = (argument, { tree }) => {
  if (!setOption(tree, argument)) {
    refuse("o", argument, "allowed: key=value, with a value that is not empty");
  }
};

const showUsage: Action = () => {
  throw new CommandLineEnd(0, { usage: true });
};

/** In the order of the usage text. */
export const flags: readonly Flag[] = [
  { letter: "A", help: "nothing: ACPI tables are always made", act: () => {} },
  setting("a", "x86.x2apic", "false", "local APICs start in xAPIC mode (the default)"),
  setting("C", "memory.guest_in_core", "true", "put guest memory into core dumps"),
  { letter: "c", argument: "topology", help: "N or cpus=N,sockets=N,cores=N,threads=N",
    act: setTopology },
  setting("D", "destroy_on_poweroff", "true", "destroy the machine at power-off"),
  setting("e", "x86.strictio", "true", "end at an access to an unknown port"),
  { letter: "f", argument: "item",
    help: "machine's file, or fw_cfg item NAME,string=TEXT or NAME,file=F",
    act: (argument, { say, readFile, readMachine, firmwareFiles }) => {
      if (!readMachine?.(argument)) {
        setFirmwareFile(argument, { say, readFile, files: firmwareFiles });
      }
    } },
  { letter: "G", argument: "port", help: "[w][address:]port of the gdb stub", act: setDebugger },
  setting("H", "x86.vmexit_on_hlt", "true", "an idle virtual CPU sleeps"),
  { letter: "h", help: "print this text", act: showUsage },
  { letter: "I", help: "nothing: there is always an I/O APIC", act: () => {} },
  text("K", "layout", "keyboard.layout", "keyboard layout for VNC"),
  { letter: "k", argument: "file", help: "read key=value lines from a file",
    act: (argument, { tree, readFile }) => setFile(tree, argument, readFile(argument)) },
  { letter: "l", argument: "device", help: "LPC device: comN,tty or bootrom,file; -l help",
    act: setLpc },
  text("m", "size", "memory.size", "guest memory: MiB, or a number with K, M, G, T"),
  { letter: "n", argument: "domain", help: "NUMA domain: id=N,size=S,cpus=LIST", act: setDomain },
  { letter: "o", argument: "key=value", help: "set one key; tsbhyve help lists them",
    act: setKey },
  setting("P", "x86.vmexit_on_pause", "true", "a spinning virtual CPU yields"),
  { letter: "p", argument: "vcpu:cpu", help: "pin a virtual CPU to a host CPU", act: setPinning },
  setting("S", "memory.wired", "true", "keep guest memory from being paged out"),
  { letter: "s", argument: "slot", help: "PCI device: [bus:]slot[:func],device[,options]; -s help",
    act: setSlot },
  text("U", "uuid", "uuid", "SMBIOS UUID"),
  setting("u", "rtc.use_localtime", "false", "RTC keeps UTC"),
  setting("W", "virtio_msix", "false", "virtio devices use MSI"),
  setting("w", "x86.strictmsr", "false", "pass over unknown MSRs"),
  setting("x", "x86.x2apic", "true", "local APICs start in x2APIC mode"),
  setting("Y", "x86.mptable", "false", "make no MP table"),
];
