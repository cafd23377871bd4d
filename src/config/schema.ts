/**
 * The keys that belong to the machine as a whole: those of bhyve_config(5) as bhyve 15.1 reads
 * them, and tsbhyve's own. A row is the only description of its key; its property is its name in
 * the program.
 */
import { MiB } from "../base/units.ts";
import { defaultCpuModel, readCpuModel } from "./cpu-model.ts";
import { flag, integer, numbered, options, size, text } from "./options.ts";
import type { OptionsOf, Schema } from "./options.ts";
import { cpusMax } from "./values.ts";

/** bhyve needs room for its tables below 1 MiB and something to boot above. */
const memoryMin = 2 * MiB;
/** What the largest x86-64 processors address (46 bits); a back end may allow less. */
const memoryMax = 2 ** 46;

/** uuid_from_string(3): hyphenated, variant bits not 111; nothing means the nil UUID. */
const uuidPattern =
  /^$|^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-d][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** What becomes a file name in bhyve's /dev/vmm: no blanks or quotes, no `.` or `..`. */
const namePattern = /^(?!\/*$)(?!(?:.*\/)?\.{1,2}(?:\/|$))[^\s"]+$/;

/** What bhyve has not: our own keys. */
const ours = "tsbhyve 0.1";

const machineKeys = {
  name: text({
    required: true, pattern: namePattern, hint: "a name without blanks and quotes, not . or ..",
    help: "Name of the virtual machine; the operand of the command line sets it.",
  }),
  cpus: integer({ min: 1, max: cpusMax, help: "Virtual CPUs; sockets * cores * threads." }),
  cores: integer({ min: 1, max: cpusMax, default: 1, help: "Cores a socket." }),
  threads: integer({ min: 1, max: cpusMax, default: 1, help: "Threads a core." }),
  sockets: integer({ min: 1, max: cpusMax, help: "Sockets; as many as cpus if not given." }),
  vcpus: numbered({
    cpuset: text({ pending: true, help: "Host CPUs of this virtual CPU, like 0,2-3." }),
  }, { key: "vcpu", last: cpusMax, help: "Pinning of virtual CPUs." }),
  memoryBytes: size({
    key: "memory.size", default: 256 * MiB, min: memoryMin, max: memoryMax,
    help: "Guest memory; a number below 1048576 counts MiB.",
  }),
  memoryWired: flag({
    key: "memory.wired", default: false, pending: true,
    help: "Keep guest memory from being paged out.",
  }),
  memoryInCore: flag({
    key: "memory.guest_in_core", default: false, pending: true,
    help: "Put guest memory into core dumps.",
  }),
  domains: numbered({
    size: text({ pending: true, help: "Memory of the domain.", since: "bhyve 15.0" }),
    cpus: text({
      pending: true, help: "Virtual CPUs of the domain, like 0,2-3.", since: "bhyve 15.0",
    }),
    policy: text({
      key: "domain_policy", pending: true, help: "Host memory policy.", since: "bhyve 15.0",
    }),
  }, { key: "domains", last: 255, help: "NUMA domains of the guest, from 0 on without a gap." }),
  uuid: text({
    pattern: uuidPattern, hint: "a hyphenated UUID",
    help: "SMBIOS UUID; made from name and host name if not given.",
  }),
  clock: text({
    oneOf: ["host", "virtual"], default: "host",
    help: "Guest time: the host's, or counted instructions, so that a run repeats exactly.",
    since: ours,
  }),
  acpiTables: flag({ key: "acpi_tables", default: true, help: "Make ACPI tables." }),
  acpiTablesInMemory: flag({
    key: "acpi_tables_in_memory", default: true, help: "Copy ACPI tables to guest memory.",
  }),
  destroyOnPowerOff: flag({
    key: "destroy_on_poweroff", default: false, lenient: true,
    help: "Destroy the machine at power-off; there is nothing to destroy without /dev/vmm.",
  }),
  useLocalTime: flag({
    key: "rtc.use_localtime", default: true, help: "RTC shows the host's local time, else UTC.",
  }),
  virtioMsix: flag({
    key: "virtio_msix", aliases: ["virtio.msix"], default: true,
    help: "MSI-X for virtio devices, else MSI.",
  }),
} as const;

const x86Keys = {
  mpTable: flag({ key: "x86.mptable", default: true, help: "Make an MP table." }),
  x2apic: flag({
    key: "x86.x2apic", default: false,
    help: "Local APICs of the software CPU start in x2APIC mode.",
  }),
  cpuModel: text({
    key: "vmm.soft.cpu", default: defaultCpuModel, reader: readCpuModel, since: ours,
    hint: "a level, x86-64-v1 to x86-64-v3, and features as in +aes,-avx2",
    help: "What the software CPU offers its guest.",
  }),
  strictIo: flag({
    key: "x86.strictio", default: false, lenient: true,
    help: "End at an access to a port that no device has.",
  }),
  strictMsr: flag({
    key: "x86.strictmsr", default: true, lenient: true,
    help: "#GP at an MSR that the software CPU has not; else it reads 0 and takes writes.",
  }),
  verboseMsr: flag({
    key: "x86.verbosemsr", default: false, lenient: true,
    help: "Log accesses to MSRs that the software CPU has not.",
    since: "bhyve 15.1",
  }),
  exitOnHalt: flag({
    key: "x86.vmexit_on_hlt", default: false,
    help: "An idle virtual CPU sleeps; the software one always does.",
  }),
  exitOnPause: flag({
    key: "x86.vmexit_on_pause", default: false,
    help: "A spinning virtual CPU yields; the software one never spins long.",
  }),
} as const;

const softwareCpuKeys = {
  compiles: flag({
    key: "vmm.soft.jit", default: true,
    help: "The software CPU compiles hot code to WebAssembly; false interprets all of it.",
    since: ours,
  }),
  statistics: flag({
    key: "vmm.soft.stats", default: false,
    help: "The software CPU tells at its end what it did: instructions, exits, compiled code.",
    since: ours,
  }),
} as const;

const bootKeys = {
  bootRom: text({
    key: "bootrom", aliases: ["lpc.bootrom"], help: "Boot ROM file; it ends at 4 GiB.",
  }),
  bootVariables: text({
    key: "bootvars", aliases: ["lpc.bootvars"],
    help: "File of the boot ROM's persistent variables: a flash chip below the ROM.",
    since: "bhyve 13.2",
  }),
  firmwareInterface: text({
    key: "lpc.fwcfg", default: "bhyve",
    help: "Firmware interface on ports 0x510 and 0x511: bhyve (with a boot ROM) or qemu.",
    since: "bhyve 14.0",
  }),
  enableBars: flag({
    key: "pci.enable_bars", help: "Devices start with BARs enabled; without a boot ROM they do.",
    since: "bhyve 14.1",
  }),
  kernel: text({ key: "boot.kernel", help: "Kernel to start without a boot ROM.", since: ours }),
  initrd: text({ key: "boot.initrd", help: "Initial RAM disk for boot.kernel.", since: ours }),
  commandLine: text({
    key: "boot.cmdline", default: "", help: "Command line of boot.kernel.", since: ours,
  }),
  modules: text({
    key: "boot.modules", default: "",
    help: "Multiboot modules, \"file arguments\", separated by semicolons.",
    since: ours,
  }),
} as const;

const boardKeys = {
  com1: text({ key: "lpc.com1.path", help: "Host side of the first serial port." }),
  com2: text({ key: "lpc.com2.path", help: "Host side of the second serial port." }),
  com3: text({ key: "lpc.com3.path", help: "Host side of the third serial port." }),
  com4: text({ key: "lpc.com4.path", help: "Host side of the fourth serial port." }),
  testDevice: flag({
    key: "lpc.pc-testdev", default: false,
    help: "QEMU's test device: ports 0xE0 to 0xE3, and 0x2000 to 0x2017 for interrupt lines.",
  }),
  tpmType: text({
    key: "tpm.type", oneOf: ["passthru", "swtpm"], pending: true, help: "Kind of TPM.",
    since: "bhyve 14.0",
  }),
  tpmPath: text({
    key: "tpm.path", pending: true, help: "TPM device, or socket of swtpm.", since: "bhyve 14.0",
  }),
  tpmVersion: text({
    key: "tpm.version", oneOf: ["2.0"], pending: true, help: "Version of the TPM.",
    since: "bhyve 14.0",
  }),
  tpmInterface: text({
    key: "tpm.intf", oneOf: ["crb"], pending: true, help: "Interface of the TPM.",
    since: "bhyve 14.0",
  }),
  debugConsole: flag({
    key: "debug.console", default: false,
    help: "Port 0xE9: bytes written go to the log, reads give 0xE9.",
    since: ours,
  }),
  exitPort: flag({
    key: "exit.port", default: false,
    help: "Port 0xF4: writing v ends the machine with status (v << 1) | 1.",
    since: ours,
  }),
} as const;

/** A text that the guest sees in the SMBIOS tables. */
function smbios(key: string, help: string) {
  return text({ key, help: `SMBIOS: ${help}.`, since: "bhyve 14.1" });
}

const smbiosKeys = {
  biosVendor: smbios("bios.vendor", "maker of the firmware"),
  biosVersion: smbios("bios.version", "version of the firmware"),
  biosDate: smbios("bios.release_date", "date of the firmware"),
  systemManufacturer: smbios("system.manufacturer", "maker of the system"),
  systemProduct: smbios("system.product_name", "name of the system"),
  systemVersion: smbios("system.version", "version of the system"),
  systemSerial: smbios("system.serial_number", "serial number of the system"),
  systemSku: smbios("system.sku", "stock number of the system"),
  systemFamily: smbios("system.family_name", "family of the system"),
  boardManufacturer: smbios("board.manufacturer", "maker of the board"),
  boardProduct: smbios("board.product_name", "name of the board"),
  boardVersion: smbios("board.version", "version of the board"),
  boardSerial: smbios("board.serial_number", "serial number of the board"),
  boardAsset: smbios("board.asset_tag", "asset tag of the board"),
  boardLocation: smbios("board.location", "place of the board"),
  chassisManufacturer: smbios("chassis.manufacturer", "maker of the chassis"),
  chassisVersion: smbios("chassis.version", "version of the chassis"),
  chassisSerial: smbios("chassis.serial_number", "serial number of the chassis"),
  chassisAsset: smbios("chassis.asset_tag", "asset tag of the chassis"),
  chassisSku: smbios("chassis.sku", "stock number of the chassis"),
} as const;

const programKeys = {
  backend: text({
    key: "vmm.backend", oneOf: ["auto", "soft", "kvm", "vmm"], default: "auto",
    help: "What runs the virtual CPUs.",
    since: ours,
  }),
  strict: flag({
    key: "config.strict", default: true,
    help: "Unknown keys and circular references are errors; false is bhyve's silence.",
    since: ours,
  }),
  dump: flag({
    key: "config.dump", default: false, help: "Print every key and value, then exit with 1.",
  }),
  gdbPort: integer({
    key: "gdb.port", min: 0, max: 0xffff, help: "TCP port of the gdb stub, for target remote.",
  }),
  gdbAddress: text({
    key: "gdb.address", default: "localhost", help: "Address that the gdb stub listens on.",
  }),
  gdbWait: flag({
    key: "gdb.wait", default: false, lenient: true,
    help: "Wait for gdb before the first instruction.",
  }),
  keyboardLayout: text({
    key: "keyboard.layout", pending: true, help: "Keyboard layout for VNC clients.",
    since: "bhyve 13.2",
  }),
  monitor: text({
    pending: true, help: "bhyve 16: restart the machine after a reboot.", since: "bhyve 16",
  }),
  runFolder: text({
    key: "rundir", pending: true, help: "bhyve 16: folder of its socket.", since: "bhyve 16",
  }),
} as const;

/** The keys outside the devices by who reads them. */
export const keyReaders: ReadonlyMap<string, Schema> = new Map<string, Schema>([
  ["the machine", machineKeys], ["the firmware and the loaders", bootKeys],
  ["the processors", x86Keys], ["the software processor", softwareCpuKeys],
  ["the chips of the board", boardKeys],
  ["the SMBIOS tables", smbiosKeys], ["the program itself", programKeys],
]);

/** All keys outside the devices, in the order in which bhyve reads those it can refuse. */
export const globalSchema = options({
  ...machineKeys, ...bootKeys, ...x86Keys, ...softwareCpuKeys,
  ...boardKeys, ...smbiosKeys, ...programKeys,
});

export type Globals = OptionsOf<typeof globalSchema>;

/** Keys of every PCI function, beside those of its device. */
export const functionSchema = options({
  device: text({ required: true, help: "Device model of this PCI function." }),
  vendorId: text({ key: "pcireg.vendor", help: "PCI vendor id, hexadecimal." }),
  deviceId: text({ key: "pcireg.device", help: "PCI device id, hexadecimal." }),
  revisionId: text({ key: "pcireg.revid", help: "PCI revision, hexadecimal." }),
  subvendorId: text({ key: "pcireg.subvendor", help: "PCI subsystem vendor id, hexadecimal." }),
  subdeviceId: text({ key: "pcireg.subdevice", help: "PCI subsystem id, hexadecimal." }),
});

/** First names of keys that are kept for later. */
export const reservedNodes: readonly string[] = ["control"];
