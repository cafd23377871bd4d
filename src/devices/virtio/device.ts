/**
 * Virtio over PCI (VIRTIO 1.2 §4.1): the legacy interface in an I/O BAR and the modern one behind
 * vendor capabilities; a transitional device, the usual kind, has both.
 */
import { options as schema, text, type OptionsOf, type Schema } from "../../config/options.ts";
import type { AccessHandler } from "../../fabric/address-space.ts";
import type { BarOptions } from "../../fabric/pci/bar.ts";
import type { PciIdentity } from "../../fabric/pci/config-space.ts";
import type { BackendKind, PciDeviceDescription, PciEnv } from "../../fabric/pci/description.ts";
import { PciFunction, type PciDevice } from "../../fabric/pci/function.ts";
import { VirtioCore, type VirtioFace, type VirtioHandler } from "./core.ts";
import { interruptCause } from "./features.ts";
import { barIndex, joinBlocks, modernBarBytes, modernCapabilities, notifyStride,
  type ModernBlocks } from "./pci-layout.ts";
import { commonRegisters, legacyRegisters, legacyVectors, newTransportState, noVector,
  type PciRegisters } from "./pci-registers.ts";
import type { QueueDescription } from "./virtqueue.ts";

const transports = ["transitional", "legacy", "modern"] as const;
export type Transport = (typeof transports)[number];

/** Every virtio device takes these keys besides its own. */
const commonOptions = schema({
  transport: text({
    key: "virtio", oneOf: transports, default: "transitional",
    help: "Interfaces offered: of virtio 0.9 (legacy), of virtio 1 (modern), or both.",
  }),
});

/** What one kind of device is. */
export interface VirtioKind<S extends Schema> {
  readonly name: string;
  readonly help: string;
  /** Device id (VIRTIO 1.2 §5). */
  readonly virtioId: number;
  /** PCI device id of the legacy interface (§4.1.2.1). */
  readonly legacyPciId: number;
  /** PCI class: 0xBBSSII. */
  readonly classCode: number;
  queues(options: OptionsOf<S>): readonly QueueDescription[];
  readonly options: S;
  readonly backend?: BackendKind;
  create(options: OptionsOf<S>, env: PciEnv, face: VirtioFace): VirtioHandler;
}

const virtioVendor = 0x1af4;
const modernIdBase = 0x1040;

/** Legacy devices are told by id 0x1000-0x103F and revision 0, modern ones by what follows. */
function identityOf(kind: VirtioKind<Schema>, transport: Transport): PciIdentity {
  const common = {
    vendor: virtioVendor, classCode: kind.classCode,
    subsystemVendor: virtioVendor, subsystem: kind.virtioId,
  };
  return transport === "modern"
    ? { ...common, device: modernIdBase + kind.virtioId, revision: 1 }
    : { ...common, device: kind.legacyPciId };
}

export class VirtioPci implements PciDevice {
  readonly core: VirtioCore;
  readonly pci: PciFunction;
  readonly #registers: PciRegisters;
  readonly state;

  constructor(
    kind: VirtioKind<Schema>, transport: Transport, env: PciEnv,
    queues: readonly QueueDescription[], makeHandler: (face: VirtioFace) => VirtioHandler,
  ) {
    const transportState = newTransportState(queues.length);
    this.core = new VirtioCore({
      queues, memory: env.memory, log: env.log, modern: transport !== "legacy",
      makeHandler,
      signals: {
        queueInterrupt: (index) => this.#interrupt(
          transportState.queueVectors[index] ?? noVector, interruptCause.queue),
        configInterrupt: () => this.#interrupt(
          transportState.configVector, interruptCause.config),
      },
    });
    const vectors = queues.length + 1;
    this.#registers = {
      core: this.core, state: transportState, vectors: env.virtioMsix ? vectors : 0,
      takeInterruptStatus: () => this.#takeInterruptStatus(),
      writeStatus: (value) => this.#writeStatus(value),
    };
    const modern = joinBlocks(this.#modernBlocks());
    this.pci = new PciFunction({
      name: kind.name, identity: identityOf(kind, transport), intx: true,
      bars: [
        ...(transport === "modern" ? [] : [this.#legacyBar()]),
        ...(transport === "legacy" ? [] : [{
          index: barIndex.modern, kind: "mem64", size: modernBarBytes, handler: modern,
        } as const]),
      ],
      // The key virtio_msix=false leaves plain MSI, as in bhyve.
      ...(env.virtioMsix ? { msix: { bar: barIndex.msix, vectors } } : { msiVectors: 1 }),
      capabilities: transport === "legacy" ? [] : modernCapabilities(modern, {
        common: commonRegisters.size, interruptStatus: 1,
        device: this.core.handler.config?.size ?? 0,
        notify: queues.length * notifyStride,
      }),
    });
    this.state = {
      pci: this.pci.state, transport: transportState, virtio: this.core.state,
      device: this.core.handler.state,
    };
  }

  reset(): void {
    this.#resetVirtio();
    const { state } = this.#registers;
    Object.assign(state, { deviceFeatureSelect: 0, driverFeatureSelect: 0, queueSelect: 0 });
    this.pci.reset();
  }

  sync(): void {
    this.core.sync();
    this.pci.sync();
  }

  detach(): void {
    this.core.handler.detach?.();
    this.pci.disconnect();
  }

  #resetVirtio(): void {
    const { state } = this.#registers;
    this.core.reset();
    state.configVector = noVector;
    state.queueVectors.fill(noVector);
    this.#takeInterruptStatus();
  }

  #writeStatus(value: number): void {
    if (value === 0) {
      this.#resetVirtio();
    } else {
      this.core.writeStatus(value);
    }
  }

  #interrupt(vector: number, cause: number): void {
    const { msix, msi } = this.pci;
    if (msix?.enabled) {
      msix.signal(vector);
      return;
    }
    this.#registers.state.interruptStatus |= cause;
    this.pci.setIntx(true);
    msi?.signal(0);
  }

  #takeInterruptStatus(): number {
    const { state } = this.#registers;
    const causes = state.interruptStatus;
    state.interruptStatus = 0;
    this.pci.setIntx(false);
    return causes;
  }

  /** The device's structure follows the vectors, which are there only while MSI-X is on. */
  #legacyBar(): BarOptions {
    const registers = this.#registers;
    const { core } = this;
    const fixedEnd = legacyRegisters.size;
    const vectorsEnd = () => fixedEnd + (this.pci.msix?.enabled ? legacyVectors.size : 0);
    const handler: AccessHandler = {
      read: (offset, size) => {
        const deviceStart = vectorsEnd();
        return offset < fixedEnd ? legacyRegisters.read(registers, offset, size)
          : offset < deviceStart ? legacyVectors.read(registers, offset - fixedEnd, size)
          : core.readConfig(offset - deviceStart, size);
      },
      write: (offset, size, value) => {
        const deviceStart = vectorsEnd();
        if (offset < fixedEnd) {
          legacyRegisters.write(registers, offset, size, value);
        } else if (offset < deviceStart) {
          legacyVectors.write(registers, offset - fixedEnd, size, value);
        } else {
          core.writeConfig(offset - deviceStart, size, value);
        }
      },
    };
    const bytes = fixedEnd + legacyVectors.size + (core.handler.config?.size ?? 0);
    return {
      index: barIndex.legacy, kind: "io", size: 2 ** Math.ceil(Math.log2(bytes)), handler,
    };
  }

  #modernBlocks(): ModernBlocks {
    const registers = this.#registers;
    const { core } = this;
    return {
      common: {
        read: (offset, size) => commonRegisters.read(registers, offset, size),
        write: (offset, size, value) => commonRegisters.write(registers, offset, size, value),
      },
      interruptStatus: {
        read: (offset) => (offset === 0 ? this.#takeInterruptStatus() : 0),
        write: () => {},
      },
      device: {
        read: (offset, size) => core.readConfig(offset, size),
        write: (offset, size, value) => core.writeConfig(offset, size, value),
      },
      notify: {
        read: () => 0,
        write: (offset) => core.notify(Math.floor(offset / notifyStride)),
      },
    };
  }
}

/** Makes a PCI device description of a kind of virtio device. */
export function virtioDevice<const S extends Schema>(kind: VirtioKind<S>): PciDeviceDescription<
  S & typeof commonOptions, OptionsOf<S & typeof commonOptions>>;
export function virtioDevice(
  kind: VirtioKind<Schema>,
): PciDeviceDescription<Schema, { readonly transport: Transport }> {
  const { name, help, backend } = kind;
  return {
    name, help, ...(backend && { backend }),
    options: { ...kind.options, ...commonOptions },
    create: (options, env) => new VirtioPci(kind, options.transport, env, kind.queues(options),
      (face) => kind.create(options, env, face)),
  };
}
