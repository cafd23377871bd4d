/** A QEMU command line read into our keys. */
import { ConfigError } from "../base/errors.ts";
import { nearest } from "../config/suggest.ts";
import { anyBool } from "./codec.ts";
import { Draft, slotOf } from "./draft.ts";
import { Entries, lossesOf } from "./entries.ts";
import type { Loss } from "./entries.ts";
import { finishReading } from "./foreign.ts";
import type { ReadOptions, ReadResult } from "./format.ts";
import { driveKeys, listenerText } from "./parts.ts";
import { qemuOptions } from "./qemu-options.ts";
import type { QemuFlag } from "./qemu-options.ts";
import { shellWords } from "./shell-words.ts";
import type { Source } from "./source.ts";

/** Flags without an argument, and those with one; others are mistakes. */
const plainFlags = new Set(["nographic", "nodefaults", "no-reboot", "enable-kvm", "S", "s",
  "daemonize", "no-user-config", "usb", "snapshot", "no-acpi", "no-shutdown", "no-hpet"]);
const argumentFlags = new Set(["name", "uuid", "m", "smp", "machine", "M", "cpu", "accel", "bios",
  "kernel", "initrd", "append", "rtc", "drive", "device", "netdev", "nic", "net", "serial", "vnc",
  "display", "monitor", "qmp", "chardev", "fsdev", "virtfs", "hda", "hdb", "hdc", "hdd", "cdrom",
  "gdb", "boot", "vga", "object", "pidfile", "blockdev", "mon", "parallel", "global", "smbios",
  "audiodev", "overcommit", "msg", "sandbox", "k", "L", "pflash"]);
/** How QEMU runs and shows the machine, which is no part of it. */
const withoutMeaning = new Set(["nographic", "nodefaults", "enable-kvm", "accel", "cpu", "display",
  "monitor", "daemonize", "no-user-config", "pidfile", "usb", "msg", "no-hpet"]);

const onOff = anyBool("on", "off");

export function readQemu(source: Source, options: ReadOptions): ReadResult {
  const words = shellWords(source);
  const start = words.findIndex(({ text }) => /(^|\/)qemu(-system-\w+|-kvm)?$/.test(text));
  const flags: QemuFlag[] = [];
  for (let index = start + 1; index < words.length; index += 1) {
    const word = words[index] ?? { text: "", offset: 0 };
    const flag = word.text.replace(/^--?/, "");
    const at = source.at(word.offset);
    if (!word.text.startsWith("-")) {
      flags.push({ flag: "hda", argument: word.text, at, options: qemuOptions("", at) });
    } else if (plainFlags.has(flag)) {
      flags.push({ flag, argument: "", at, options: qemuOptions("", at) });
    } else if (argumentFlags.has(flag)) {
      const next = words[index + 1];
      if (!next) {
        throw source.error(word.offset, `${word.text} wants an argument`);
      }
      flags.push({ flag, argument: next.text, at, options: qemuOptions(next.text,
        source.at(next.offset)) });
      index += 1;
    } else {
      const near = nearest(flag, [...plainFlags, ...argumentFlags]);
      throw new ConfigError({ key: at, message: `${word.text} is not known`
        + `${near === undefined ? "" : `; did you mean -${near}?`}` });
    }
  }
  return new QemuReader(flags, source, options).read();
}

class QemuReader {
  readonly #flags: readonly QemuFlag[];
  readonly #draft = new Draft();
  readonly #losses: Loss[] = [];
  readonly #source: Source;
  readonly #options: ReadOptions;
  #serial = 0;

  constructor(flags: readonly QemuFlag[], source: Source, options: ReadOptions) {
    this.#flags = flags;
    this.#source = source;
    this.#options = options;
  }

  read(): ReadResult {
    const later = new Set(["netdev", "fsdev", "audiodev", "chardev", "drive"]);
    for (const each of this.#flags.filter(({ flag }) => !later.has(flag))) {
      this.#take(each);
    }
    for (const each of this.#flags.filter(({ flag }) => later.has(flag))) {
      this.#takeLater(each);
    }
    const done = finishReading(this.#draft, new Entries([]), this.#source, this.#options);
    return { entries: done.entries, losses: this.#losses };
  }

  #lose({ flag, argument, at }: QemuFlag, reason = "has no counterpart"): void {
    this.#losses.push({ key: `-${flag}`, at, reason, ...(argument !== "" && { value: argument }) });
  }

  /** Says which fields of an option string were not understood. */
  #loseRest(each: QemuFlag): void {
    for (const loss of lossesOf(each.options, `is not understood at -${each.flag}`)) {
      this.#losses.push(loss);
    }
  }

  #set(key: string, value: string, at: string): void {
    if (!this.#draft.has(key)) {
      this.#draft.set(key, value, at);
    }
  }

  #take(each: QemuFlag): void {
    const { flag, argument, at, options } = each;
    switch (flag) {
      case "name": this.#set("name", options.take("") ?? options.take("guest") ?? "", at);
        this.#loseRest(each); break;
      case "uuid": this.#set("uuid", argument, at); break;
      case "m": this.#memory(each); break;
      case "smp": this.#topology(each); break;
      case "bios": this.#set("bootrom", argument, at); break;
      case "kernel": this.#set("boot.kernel", argument, at); break;
      case "initrd": this.#set("boot.initrd", argument, at); break;
      case "append": this.#set("boot.cmdline", argument, at); break;
      case "no-acpi": this.#set("acpi_tables", "false", at); break;
      case "s": this.#set("gdb.port", "1234", at); break;
      case "S": this.#set("gdb.wait", "true", at); break;
      case "gdb": this.#debugger(each); break;
      case "rtc": this.#clock(each); break;
      case "machine": case "M": this.#machine(each); break;
      case "serial": this.#serialLine(each); break;
      case "vnc": this.#screen(each); break;
      case "hda": case "hdb": case "hdc": case "hdd": case "cdrom":
        this.#draft.add({ at, ...driveKeys("ahci", flag === "cdrom", [["path", argument]]) });
        break;
      case "device": this.#device(each); break;
      default:
        if (!withoutMeaning.has(flag)) {
          this.#lose(each);
        }
    }
  }

  #memory(each: QemuFlag): void {
    const text = each.options.take("") ?? each.options.take("size") ?? "";
    const [, digits = "", unit = ""] = /^([0-9]{1,12})([kmgt]?)b?$/i.exec(text) ?? [];
    if (digits === "") {
      throw new ConfigError({ key: each.at, value: text, message: "is no size; allowed: 512, 2G" });
    }
    this.#set("memory.size", unit === "" ? `${digits}M` : digits + unit.toUpperCase(), each.at);
    this.#loseRest(each);
  }

  #topology(each: QemuFlag): void {
    const { options, at } = each;
    const cpus = options.take("") ?? options.take("cpus");
    if (options.peek("maxcpus") === cpus) {
      options.take("maxcpus");
    }
    if (cpus !== undefined) {
      this.#set("cpus", cpus, at);
    }
    for (const key of ["sockets", "cores", "threads"]) {
      const value = options.take(key);
      if (value !== undefined) {
        this.#set(key, value, at);
      }
    }
    this.#loseRest(each);
  }

  #machine(each: QemuFlag): void {
    const { options, at } = each;
    options.pass("", "type", "accel");
    const acpi = onOff.toOurs(options.take("acpi") ?? "");
    if (acpi !== undefined) {
      this.#set("acpi_tables", acpi, at);
    }
    this.#loseRest(each);
  }

  #clock(each: QemuFlag): void {
    const base = each.options.peek("base");
    if (base === "utc" || base === "localtime") {
      each.options.take("base");
      this.#set("rtc.use_localtime", String(base === "localtime"), each.at);
    }
    this.#loseRest(each);
  }

  #debugger(each: QemuFlag): void {
    const [, address = "", port] = /^tcp:([^:]*):([0-9]+)/.exec(each.argument) ?? [];
    if (port === undefined) {
      this.#lose(each);
      return;
    }
    this.#set("gdb.port", port, each.at);
    if (address !== "") {
      this.#set("gdb.address", address, each.at);
    }
  }

  #serialLine(each: QemuFlag): void {
    const { argument, at } = each;
    const [, kind, rest = ""] = /^(unix|tcp|telnet|file):([^,]*)/.exec(argument) ?? [];
    const path = argument === "stdio" || argument === "mon:stdio" ? "stdio"
      : argument === "pty" || argument.startsWith("/dev/") ? argument
      : kind === "unix" || kind === "file" ? `${kind}:${rest}`
      : kind === "tcp" ? `tcp=${rest.startsWith(":") ? `0.0.0.0${rest}` : rest}` : undefined;
    this.#serial += 1;
    if (path !== undefined && this.#serial <= 4) {
      this.#set(`lpc.com${this.#serial}.path`, path, at);
    } else if (argument !== "none") {
      this.#lose(each);
    }
  }

  #screen(each: QemuFlag): void {
    const [, host = "", display] = /^([^:]*|\[[^\]]*\]):([0-9]+)/.exec(each.argument) ?? [];
    if (display === undefined) {
      this.#lose(each);
      return;
    }
    const address = host.replace(/^\[|\]$/g, "");
    this.#draft.add({ device: "fbuf", at: each.at, keys: [
      ["rfb", listenerText(address === "" ? "0.0.0.0" : address, 5900 + Number(display))]] });
  }

  /** `addr=0x3.0` or `addr=3`, in hexadecimal. */
  #slot(options: Entries, at: string) {
    const text = options.take("addr");
    const [, slot, func = "0"]
      = /^(?:0x)?([0-9a-f]+)(?:\.(?:0x)?([0-7]))?$/i.exec(text ?? "") ?? [];
    if (text !== undefined && slot === undefined) {
      const message = "is no addr; allowed: slot.function";
      throw new ConfigError({ key: at, value: text, message });
    }
    return slot === undefined ? undefined : slotOf(`${Number.parseInt(slot, 16)}:${func}`, at);
  }

  #device(each: QemuFlag): void {
    const { options, at } = each;
    const model = options.take("") ?? options.take("driver") ?? "";
    const slot = this.#slot(options, at);
    const add = (device: string, keys: readonly (readonly [string, string | undefined])[] = []) =>
      this.#draft.add({ device, at, keys, slot });
    options.take("id");
    switch (model) {
      case "virtio-blk-pci": case "virtio-blk": case "nvme": case "ide-hd": case "ide-cd":
        this.#drive(each, model, slot); break;
      case "virtio-net-pci": case "virtio-net": case "e1000":
        this.#card(each, model, slot); break;
      case "virtio-rng-pci": options.take("rng"); add("virtio-rnd"); break;
      case "qemu-xhci": case "nec-usb-xhci": case "ahci": case "isa-serial": case "usb-ehci": break;
      case "usb-tablet": options.take("bus"); add("xhci", [["slot.1.device", "tablet"]]); break;
      case "intel-hda": break;
      case "hda-duplex": case "hda-output": options.pass("audiodev", "bus"); add("hda"); break;
      case "vfio-pci": this.#passthru(each, slot); break;
      case "virtio-9p-pci": {
        const share = this.#named("fsdev", options.take("fsdev"));
        share?.options.pass("", "id", "security_model");
        add("virtio-9p", [["sharename", options.take("mount_tag")],
          ["path", share?.options.take("path")],
          ["ro", share?.options.take("readonly") === "on" ? "true" : undefined]]);
        break;
      }
      default: this.#lose(each); return;
    }
    this.#loseRest(each);
  }

  #named(flag: string, id: string | undefined): QemuFlag | undefined {
    return this.#flags.find((each) => each.flag === flag && each.options.peek("id") === id);
  }

  #drive(each: QemuFlag, model: string, slot: ReturnType<typeof slotOf> | undefined): void {
    const { options, at } = each;
    const drive = this.#named("drive", options.take("drive"));
    const bus = model.startsWith("virtio") ? "virtio" : model === "nvme" ? "nvme" : "ahci";
    const path = drive?.options.take("file");
    if (!drive || path === undefined) {
      throw new ConfigError({ key: at, message: `${model} names no -drive with a file` });
    }
    drive.options.pass("id", "if", "format", "media");
    options.pass("bus", "unit");
    const readOnly = onOff.toOurs(drive.options.take("readonly") ?? "off") === "true";
    const boot = options.take("bootindex");
    this.#draft.add({ at, slot, ...driveKeys(bus, model === "ide-cd", [["path", path],
      ["ro", readOnly ? "true" : undefined], ["ser", options.take("serial")],
      ["bootindex", boot]]) });
  }

  #card(each: QemuFlag, model: string, slot: ReturnType<typeof slotOf> | undefined): void {
    const { options, at } = each;
    const net = this.#named("netdev", options.take("netdev"));
    const kind = net?.options.take("");
    net?.options.pass("id", "script", "downscript", "vhost");
    const backend = kind === "user" ? "slirp"
      : kind === "tap" ? net?.options.take("ifname") ?? "tap0" : undefined;
    if (backend === undefined) {
      this.#lose(each, "its -netdev is neither tap nor user");
      return;
    }
    const forward = net?.options.take("hostfwd");
    this.#draft.add({ device: model === "e1000" ? "e1000" : "virtio-net", at, slot, keys: [
      ["backend", backend], ["open", kind === "user" ? "true" : undefined], ["hostfwd", forward],
      ["mac", options.take("mac")]] });
  }

  #passthru(each: QemuFlag, slot: ReturnType<typeof slotOf> | undefined): void {
    const [, ...parts] = /^(?:0000:)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/i
      .exec(each.options.take("host") ?? "") ?? [];
    const [bus, device, func] = parts.map((part) => String(Number.parseInt(part, 16)));
    if (func === undefined) {
      throw new ConfigError({ key: each.at, message: "vfio-pci names no host=BB:DD.F" });
    }
    this.#draft.add({ device: "passthru", at: each.at, slot,
      keys: [["bus", bus], ["slot", device], ["func", func]] });
  }

  /** Drives that stand alone; of the others, and of host sides, what no device asked for. */
  #takeLater(each: QemuFlag): void {
    const { flag, at, options } = each;
    const kind = options.peek("if") ?? "ide";
    const path = options.peek("file");
    if (flag === "drive" && kind !== "none" && path !== undefined) {
      options.pass("file", "if", "format", "index", "unit", "id");
      const cd = options.take("media") === "cdrom";
      const readOnly = onOff.toOurs(options.take("readonly") ?? "off") === "true";
      if (kind === "pflash") {
        this.#set(this.#draft.has("bootrom") ? "bootvars" : "bootrom", path, at);
      } else {
        this.#draft.add({ at, ...driveKeys(kind === "virtio" ? "virtio" : "ahci", cd,
          [["path", path], ["ro", readOnly ? "true" : undefined]]) });
      }
    }
    this.#loseRest(each);
  }
}

