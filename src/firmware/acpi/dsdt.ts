/**
 * The definition block of the DSDT: PCI roots with their address windows and interrupt routes,
 * the PIRQ links of the LPC bridge, and the devices on fixed addresses, named as bhyve names them.
 */
import { ecamBase, type BusWindows } from "../../fabric/pci/placement.ts";
import { pirqCount, type PciRoute } from "../../fabric/pci/routing.ts";
import { MiB } from "../../base/units.ts";
import type { FirmwareOptions } from "../tables.ts";
import {
  and, argument0, createWordField, decrement, device, eisaId, field, findSetRightBit, ifTrue,
  integer, local0, method, name, operationRegion, otherwise, packageOf, path, regionSpace,
  returnOf, scope, shiftLeft, store, string, type Aml, type FieldElement,
} from "./aml.ts";
import {
  busNumbers, fixedMemory, isaInterrupt, memoryWindow32, memoryWindow64, pciInterrupts, ports,
  portWindow, resources,
} from "./resources.ts";

type Options = Pick<FirmwareOptions, "pci" | "hpet" | "serialPorts" | "fwCfgPort"> & {
  readonly acpi: NonNullable<FirmwareOptions["acpi"]>;
};

const letters = [..."ABCDEFGH"];
const rootName = (bus: number) => `PC${bus.toString(16).toUpperCase().padStart(2, "0")}`;
const hidName = (id: string) => name("_HID", eisaId(id));
/** The PIRQ registers, from here four and from 0x68 four (82371SB §2.2.5). */
const pirqRegisters = [0x60, 0x68] as const;
const pirq = { disabled: 0x80, irq: 0x0f } as const;
const linkStatus = { present: 0x09, enabled: 0x0b } as const;
/** Where an interrupt descriptor has its mask. */
const interruptMaskOffset = 1;
/** Interrupts that the bridge can steer a PIRQ to, but for those of ISA devices. */
const linkChoices: readonly number[] = [5, 6, 7, 9, 10, 11, 14, 15];
const ecamBytes = 256 * MiB;

/** Ports of the board that no other device names: reserved as bhyve reserves them. */
const systemPorts: readonly (readonly [base: number, count: number])[] = [
  [0x4d0, 2], [0x61, 1], [0x72, 6], [0x80, 1], [0x92, 1],
];

export function definitionBlock(options: Options): Aml {
  const { pci, acpi, hpet, serialPorts, fwCfgPort } = options;
  const roots = [...pci.windows].map(([bus, windows]) => root(options, bus, windows));
  return [
    name("_S5", packageOf([integer(acpi.sleepTypeS5), integer(0)])),
    name("PICM", integer(0)),
    method("_PIC", 1, [store(argument0, path("PICM"))]),
    scope("\\_SB", [
      ...roots,
      ...(hpet === undefined ? [] : [hpetDevice(hpet.base)]),
      boardResources(options),
      ...(fwCfgPort === undefined ? [] : [fwCfgDevice(fwCfgPort)]),
    ]),
    ...(pci.lpc === undefined ? [] : [
      scope(`\\_SB.${rootName(pci.lpc.bus)}.ISA`, isaDevices(serialPorts)),
    ]),
  ].flat();
}

/** A root bus: every configured bus is one of its own on this board. */
function root({ pci }: Options, bus: number, windows: BusWindows): Aml {
  const routes = pci.routes.filter((route) => route.bus === bus);
  const hasLinks = pci.lpc !== undefined;
  const terms = [
    hidName("PNP0A03"),
    name("_UID", integer(bus)),
    name("_BBN", integer(bus)),
    name("_CRS", resources(rootResources(bus, windows))),
    name("PPRT", packageOf(routes.map((route) => routeEntry(route, hasLinks
      ? path(`\\_SB.${rootName(pci.lpc?.bus ?? 0)}.ISA.LNK${letters[route.pirq] ?? "A"}`)
      : integer(0), hasLinks ? 0 : route.isaIrq)))),
    name("APRT", packageOf(routes.map((route) =>
      routeEntry(route, integer(0), route.ioapicPin)))),
    method("_PRT", 0, [
      ifTrue(path("PICM"), [returnOf(path("APRT"))]),
      otherwise([returnOf(path("PPRT"))]),
    ]),
  ];
  return device(rootName(bus), pci.lpc?.bus === bus ? [...terms, isaBridge(pci.lpc)] : terms);
}

/** One entry of a routing table: every function of the slot, its pin, and where the pin goes. */
function routeEntry({ slot, pin }: PciRoute, source: Aml, index: number): Aml {
  return packageOf([integer(slot * 0x1_0000 + 0xffff), integer(pin - 1), source, integer(index)]);
}

function rootResources(bus: number, { io, mem32, mem64 }: BusWindows): readonly Aml[] {
  const firstRoot = bus === 0 ? [
    ports(0xcf8, 8),
    portWindow({ base: 0, end: 0xcf8 }),
    portWindow({ base: 0xd00, end: 0x2000 }),
  ] : [];
  const windows = [
    ...(io.end > io.base ? [portWindow(io)] : []),
    ...(mem32.end > mem32.base ? [memoryWindow32(mem32)] : []),
    ...(mem64.end > mem64.base ? [memoryWindow64(mem64)] : []),
  ];
  return [busNumbers(bus, bus), ...firstRoot, ...windows];
}

function hpetDevice(base: number): Aml {
  return device("HPET", [
    hidName("PNP0103"), name("_UID", integer(0)),
    name("_CRS", resources([fixedMemory(base, 0x400)])),
  ]);
}

/** The firmware interface; drivers of QEMU's guests look for this id. */
function fwCfgDevice(port: number): Aml {
  return device("FWCF", [
    name("_HID", string("QEMU0002")), name("_STA", integer(linkStatus.enabled)),
    name("_CRS", resources([ports(port, 2)])),
  ]);
}

/** What the operating system must not give to anyone else. The ECAM window is here too: Linux
 * uses it only when a device of this kind claims it. */
function boardResources({ acpi }: Options): Aml {
  return device("SIO", [
    hidName("PNP0C02"), name("_UID", integer(0)),
    name("_CRS", resources([
      ...systemPorts.map(([base, count]) => ports(base, count)),
      ports(acpi.smiCommand, 1),
      ports(acpi.pm1Event, 4), ports(acpi.pm1Control, 2),
      ports(acpi.pmTimer, 4), ports(acpi.gpe0, 2),
      fixedMemory(ecamBase, ecamBytes),
    ])),
  ]);
}

/** The LPC bridge's function, with its registers that steer PCI interrupts. */
function isaBridge({ slot, func }: { readonly slot: number; readonly func: number }): Aml {
  const [first, second] = pirqRegisters;
  const registers = (group: readonly string[]): FieldElement[] =>
    group.map((letter) => [`PIR${letter}`, 8] as const);
  return device("ISA", [
    name("_ADR", integer(slot * 0x1_0000 + func)),
    operationRegion("LPCR", regionSpace.pciConfig, 0, 0x100),
    field("LPCR", [
      { skipBits: first * 8 }, ...registers(letters.slice(0, 4)),
      { skipBits: (second - first - 4) * 8 }, ...registers(letters.slice(4, pirqCount)),
    ]),
    ...letters.slice(0, pirqCount).map((letter, index) => link(letter, index)),
  ]);
}

/** A PIRQ as a link device: its interrupt can be read, set and switched off. */
function link(letter: string, index: number): Aml {
  const register = path(`PIR${letter}`);
  const isDisabled = and(register, integer(pirq.disabled));
  const [answer, mask] = ["CRSB", "IRQM"];
  return device(`LNK${letter}`, [
    hidName("PNP0C0F"),
    name("_UID", integer(index + 1)),
    name("_PRS", resources([pciInterrupts(linkChoices)])),
    name(answer, resources([pciInterrupts([])])),
    createWordField(path(answer), interruptMaskOffset, mask),
    method("_STA", 0, [
      ifTrue(isDisabled, [returnOf(integer(linkStatus.present))]),
      otherwise([returnOf(integer(linkStatus.enabled))]),
    ]),
    method("_CRS", 0, [
      ifTrue(isDisabled, [store(integer(0), path(mask))]),
      otherwise([shiftLeft(integer(1), and(register, integer(pirq.irq)), path(mask))]),
      returnOf(path(answer)),
    ], true),
    method("_SRS", 1, [
      createWordField(argument0, interruptMaskOffset, "IRQW"),
      findSetRightBit(path("IRQW"), local0),
      ifTrue(local0, [decrement(local0), store(local0, register)]),
    ], true),
    method("_DIS", 0, [store(integer(pirq.disabled), register)]),
  ]);
}

function isaDevices(serialPorts: FirmwareOptions["serialPorts"]): readonly Aml[] {
  return [
    isaDevice("PIC", "PNP0000", [ports(0x20, 2), ports(0xa0, 2), isaInterrupt(2)]),
    isaDevice("TIMR", "PNP0100", [ports(0x40, 4), isaInterrupt(0)]),
    isaDevice("RTC", "PNP0B00", [ports(0x70, 2), isaInterrupt(8)]),
    isaDevice("KBD", "PNP0303", [ports(0x60, 1), ports(0x64, 1), isaInterrupt(1)]),
    isaDevice("MOU", "PNP0F13", [isaInterrupt(12)]),
    ...serialPorts.map(({ number, port, irq }) =>
      isaDevice(`COM${number}`, "PNP0501", [ports(port, 8), isaInterrupt(irq)], number)),
  ];
}

function isaDevice(text: string, id: string, descriptors: readonly Aml[], uid?: number): Aml {
  return device(text, [
    hidName(id),
    ...(uid === undefined ? [] : [name("_UID", integer(uid))]),
    name("_CRS", resources(descriptors)),
  ]);
}
