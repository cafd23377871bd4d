/**
 * Devices of bhyve 15.1 whose keys are known but that have no model yet (bhyve_config(5)): their
 * keys are read, explained and translated, and a start says that the model is missing. A model
 * brings its own options; its line here goes.
 */
import { flag, integer, numbered, options, text } from "../config/options.ts";
import type { Schema } from "../config/options.ts";
import { blockOptions } from "./block-options.ts";

export interface UnbuiltDevice {
  readonly name: string;
  readonly help: string;
  readonly options: Schema;
}

/** What atoi(3) makes of a text: a number in front, or 0. */
function loose(help: string, key?: string) {
  return integer({ help, lenient: true, ...(key !== undefined && { key }) });
}

const networkOptions = options({
  backend: text({ required: true, help: "Host side: tapN, vmnetN, netgraph, valeN:port, slirp." }),
  type: text({
    oneOf: ["tap", "vmnet", "netgraph", "netmap", "vale", "slirp"],
    help: "Kind of the host side, if its name does not tell.", since: "bhyve 14.2",
  }),
  mac: text({
    pattern: /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i, hint: "six bytes in hexadecimal, with colons",
    help: "Ethernet address; made from slot and name if not given.",
  }),
  path: text({ help: "Netgraph: the node to connect to." }),
  peerHook: text({ key: "peerhook", help: "Netgraph: hook of that node." }),
  socket: text({ help: "Netgraph: name of our node." }),
  hook: text({ default: "vmlink", help: "Netgraph: our hook." }),
  hostForward: text({
    key: "hostfwd", help: "Slirp: forwarded ports, protocol:address:port-address:port, with ;.",
    since: "bhyve 15.0",
  }),
  open: flag({ default: false, help: "Slirp: the guest may reach the outside.",
    since: "bhyve 16" }),
});

/** Port blocks as in AHCI 1.3.1: the path is wanted only where a type makes it a drive. */
const { path: drivePath, ...driveOptions } = blockOptions;

const diskPort = options({
  type: text({ help: "hd for a disk; anything else is a CD drive." }),
  path: text({ help: drivePath.help }),
  ...driveOptions,
  commandSlots: loose("Longest read-ahead of NCQ.", "nmrr"),
  serial: text({ key: "ser", help: "Serial number, up to 20 bytes." }),
  revision: text({ key: "rev", help: "Firmware revision, up to 8 bytes." }),
  model: text({ help: "Model name, up to 40 bytes." }),
});

const ahci = {
  name: "ahci", help: "SATA controller (AHCI), with disks and CD drives.",
  options: options({
    ports: numbered(diskPort, { key: "port", last: 31, help: "Drives, by port." }),
  }),
};

const e1000 = { name: "e1000", help: "Network card, Intel 82545.", options: networkOptions };

const virtioNet = {
  name: "virtio-net", help: "Network card of virtio.",
  options: options({
    ...networkOptions,
    mtu: integer({ min: 46, max: 65535, help: "MTU offered to the guest." }),
  }),
};

const nvme = {
  name: "nvme", help: "NVM Express disk.",
  options: options({
    path: text({ help: drivePath.help }),
    ...driveOptions,
    ram: text({ help: "MiB of a disk that is in memory; wins over path." }),
    queuesMax: loose("Queue pairs, up to 16.", "maxq"),
    queueEntries: loose("Entries of a queue.", "qsz"),
    slots: loose("Requests at a time.", "ioslots"),
    sectorBytes: text({ key: "sectsz", help: "Sector size: 512, 4096 or 8192." }),
    serial: text({ key: "ser", help: "Serial number, up to 20 bytes." }),
    eui64: text({ help: "IEEE extended unique identifier of the namespace." }),
    trim: text({ key: "dsm", help: "Dataset management: auto, enable or disable." }),
  }),
};

const fbuf = {
  name: "fbuf", help: "Frame buffer, shown over VNC.",
  options: options({
    rfb: text({ aliases: ["tcp"], help: "Where VNC listens: [address:]port or unix:path." }),
    width: text({ key: "w", default: "1024", help: "Width in pixels, 640 to 3840." }),
    height: text({ key: "h", default: "768", help: "Height in pixels, 480 to 2160." }),
    vga: text({ oneOf: ["io", "on", "off"], default: "io", help: "VGA ports." }),
    wait: flag({ default: false, help: "Start when a viewer has come." }),
    password: text({ help: "Password of VNC, of which 8 bytes count." }),
  }),
};

const xhci = {
  name: "xhci", help: "USB 3 controller.",
  options: options({
    slots: numbered(options({
      device: text({ oneOf: ["tablet"], help: "USB device." }),
    }), { key: "slot", first: 1, last: 64, help: "USB devices, from 1 on." }),
  }),
};

const hda = {
  name: "hda", help: "Sound card (HD audio).",
  options: options({
    play: text({ help: "Sound device to play on." }),
    record: text({ key: "rec", help: "Sound device to record from." }),
  }),
};

const passthru = {
  name: "passthru", help: "A PCI device of the host.",
  options: options({
    bus: loose("Bus of the host's device."), slot: loose("Slot of the host's device."),
    function: loose("Function of the host's device.", "func"),
    pptDevice: text({ key: "pptdev", help: "The host's device by its name, pptN.",
      since: "bhyve 14.0" }),
    rom: text({ help: "Option ROM image.", since: "bhyve 14.0" }),
    bootIndex: loose("Place in the firmware's boot order.", "bootindex"),
  }),
};

const uart = {
  name: "uart", help: "Serial port as a PCI device.",
  options: options({ path: text({ help: "Host side of the line." }) }),
};

const virtioInput = {
  name: "virtio-input", help: "An input device of the host.",
  options: options({ path: text({ required: true, help: "/dev/input/eventN." }) }),
};

const virtioScsi = {
  name: "virtio-scsi", help: "SCSI adapter of virtio, on the host's CTL.",
  options: options({
    device: text({ key: "dev", default: "/dev/cam/ctl", help: "CTL port." }),
    initiator: loose("Initiator id.", "iid"),
    bootIndex: loose("Place in the firmware's boot order.", "bootindex"),
  }),
};

const dummy = { name: "dummy", help: "Test device of bhyve.", options: options({}) };

export const unbuiltDevices: readonly UnbuiltDevice[] = [
  ahci, e1000, fbuf, dummy, hda, nvme, passthru, uart, virtioInput,
  virtioNet, virtioScsi, xhci,
];
