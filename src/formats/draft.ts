/**
 * A machine that is being read: keys, and devices that get their slots at the end. Devices with a
 * slot have it; the others get the free ones from slot 2 on, in the order of the text.
 */
import { ConfigError } from "../base/errors.ts";
import { pciLimits, readSlot, slotHelp } from "../config/values.ts";
import type { PciSlot } from "../config/values.ts";
import type { Entry } from "./entries.ts";

export interface DraftDevice {
  readonly device: string;
  /** Keys below the function. */
  readonly keys: readonly (readonly [key: string, value: string | undefined])[];
  readonly at: string;
  readonly slot?: PciSlot | undefined;
}

interface Placed extends DraftDevice {
  readonly places: ReadonlyMap<string, string>;
}

const firstFree = 2;
const lpcSlot = 31;
/** Far more than any board, far less than what a text of a megabyte could ask for. */
const devicesMax = 1024;

export class Draft {
  #entries = new Map<string, Entry & { readonly layer: number }>();
  readonly #devices: Placed[] = [];
  #layer = 0;
  #complete = false;

  /** What is set from now on stands above what was set before. */
  raise(): void {
    this.#layer += 1;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Sets a key; twice in the same layer is a mistake. */
  set(key: string, value: string, at: string): void {
    const before = this.#entries.get(key);
    if (before && before.layer === this.#layer) {
      throw new ConfigError({
        key: at, message: `${key} is given twice, first at ${before.at}; allowed: once`,
      });
    }
    this.#entries.delete(key);
    this.#entries.set(key, { key, value, at, layer: this.#layer });
  }

  /** Sets what a reader found, if it found something. */
  maybe(key: string, value: string | undefined, at: string): void {
    if (value !== undefined) {
      this.set(key, value, at);
    }
  }

  add(device: DraftDevice, places: ReadonlyMap<string, string> = new Map()): void {
    if (this.#devices.length >= devicesMax) {
      throw new ConfigError({
        key: device.at, message: `there are more than ${devicesMax} devices; allowed: up to that`,
      });
    }
    this.#devices.push({ ...device, places });
  }

  /** Every PC has a host bridge and an LPC bridge: they are added if the text has none. */
  completeBoard(): void {
    this.#complete = true;
  }

  /** Devices of the host reach guest memory by themselves, so it must stay where it is; foreign
   * formats need not say so. */
  wireForPassthru(): void {
    const first = this.#devices.find(({ device }) => device === "passthru");
    if (first && !this.has("memory.wired")) {
      this.set("memory.wired", "true", first.at);
    }
  }

  #slotsOfKeys(): Map<string, string> {
    const taken = new Map<string, string>();
    for (const { key, at } of this.#entries.values()) {
      const [, slot] = /^pci\.([0-9]+\.[0-9]+\.[0-9]+)\./.exec(key) ?? [];
      if (slot !== undefined && !taken.has(slot)) {
        taken.set(slot, at);
      }
    }
    return taken;
  }

  #hasDevice(name: string): boolean {
    return this.#devices.some(({ device }) => device === name)
      || [...this.#entries.values()].some(({ key, value }) =>
        /^pci\.[0-9]+\.[0-9]+\.[0-9]+\.device$/.test(key) && value === name);
  }

  #addBoard(taken: ReadonlyMap<string, string>): void {
    for (const [device, slot] of [["hostbridge", 0], ["lpc", lpcSlot]] as const) {
      const place = { bus: 0, slot, func: 0 };
      if (!this.#hasDevice(device) && !taken.has(nameOf(place))
        && !this.#devices.some((each) => each.slot && nameOf(each.slot) === nameOf(place))) {
        this.#devices.push({ device, keys: [], at: "default", slot: place, places: new Map() });
      }
    }
  }

  /** All keys in order; throws ConfigError for slots that are taken twice. */
  finish(): readonly Entry[] {
    const taken = this.#slotsOfKeys();
    if (this.#complete) {
      this.#addBoard(taken);
    }
    const placed: { slot: PciSlot; device: Placed }[] = [];
    for (const device of this.#devices.filter(({ slot }) => slot)) {
      const slot = device.slot ?? { bus: 0, slot: 0, func: 0 };
      const before = taken.get(nameOf(slot));
      if (before !== undefined) {
        throw new ConfigError({
          key: device.at, message: `${device.device} wants slot ${slot.bus}:${slot.slot}:`
            + `${slot.func}, which is taken at ${before}; allowed: a free one`,
        });
      }
      taken.set(nameOf(slot), device.at);
      placed.push({ slot, device });
    }
    let next = 0;
    for (const device of this.#devices.filter(({ slot }) => !slot)) {
      next = nextFree(next, taken, device);
      const slot = slotAt(next);
      taken.set(nameOf(slot), device.at);
      placed.push({ slot, device });
    }
    placed.sort((a, b) => orderOf(a.slot) - orderOf(b.slot));
    return [...[...this.#entries.values()].map(({ key, value, at }) => ({ key, value, at })),
      ...placed.flatMap(({ slot, device }) => keysOf(slot, device))];
  }
}

function nameOf({ bus, slot, func }: PciSlot): string {
  return `${bus}.${slot}.${func}`;
}

function orderOf({ bus, slot, func }: PciSlot): number {
  return (bus * (pciLimits.slot + 1) + slot) * (pciLimits.func + 1) + func;
}

/** Automatic slots: 2 to 30 of bus 0, then the other buses. */
function slotAt(index: number): PciSlot {
  const perBus = lpcSlot - firstFree;
  return { bus: Math.floor(index / perBus), slot: firstFree + index % perBus, func: 0 };
}

const functionNumbers = [...Array(pciLimits.func + 1).keys()];

function nextFree(from: number, taken: ReadonlyMap<string, string>, device: DraftDevice): number {
  for (let index = from; slotAt(index).bus <= pciLimits.bus; index += 1) {
    // A slot whose function 0 is somebody else's is left to its owner altogether.
    const { bus, slot } = slotAt(index);
    if (!functionNumbers.some((func) => taken.has(`${bus}.${slot}.${func}`))) {
      return index;
    }
  }
  throw new ConfigError({ key: device.at, message: "there is no free PCI slot for this device" });
}

function keysOf(slot: PciSlot, { device, keys, at, places }: Placed): readonly Entry[] {
  const node = `pci.${nameOf(slot)}`;
  const given = keys.flatMap(([key, value]) => value === undefined ? []
    : [{ key: `${node}.${key}`, value, at: places.get(key) ?? at }]);
  return [{ key: `${node}.device`, value: device, at }, ...given];
}

/** A slot as a text gives it; throws ConfigError at `at`. */
export function slotOf(text: string, at: string): PciSlot {
  const reading = /^[0-9]+(:[0-9]+){0,2}$/.test(text) ? readSlot(text) : undefined;
  if (!reading || "wrong" in reading) {
    throw new ConfigError({ key: at, message: `${text} is no slot; allowed: ${slotHelp}` });
  }
  return reading.value;
}
