/**
 * A whole PC from a plan: RAM and vCPUs of a hypervisor, the chips of the board, and the PCI
 * functions. Every access that leaves a vCPU goes from here into the two address spaces.
 */
import { defined } from "../base/assert.ts";
import { ConfigError } from "../base/errors.ts";
import { createLog, type Log } from "../base/log.ts";
import { GiB } from "../base/units.ts";
import { nodeOf } from "../config/options.ts";
import { pcTestdevEnd } from "../devices/pc-testdev.ts";
import { VariableFlash } from "../devices/variable-flash.ts";
import { MmioSpace, PortSpace } from "../fabric/address-space.ts";
import type { Board, BoardDevice } from "../fabric/board.ts";
import type { BlockBackend, CharBackend, Entropy, FolderShare } from "../fabric/device.ts";
import { highMemoryBase } from "../fabric/memory.ts";
import type { PciEnv } from "../fabric/pci/description.ts";
import type { PciDevice } from "../fabric/pci/function.ts";
import { PciHost } from "../fabric/pci/host.ts";
import { readBootFile } from "../firmware/boot-file.ts";
import { readBootRom } from "../firmware/boot-rom.ts";
import type { Hypervisor, Vcpu, VcpuBus, Vm } from "../vmm/hypervisor.ts";
import { makeBoardChips, makeUarts, type BoardChips } from "./board-chips.ts";
import { Driver } from "./driver.ts";
import { enter } from "./entry.ts";
import { openVariableStore } from "./variable-store.ts";
import { firmwareInterface } from "./firmware-interface.ts";
import type { MachineClock } from "./host-clock.ts";
import type { MachinePlan, PlannedFunction } from "./plan.ts";
import { devices } from "./registry.ts";
import { loadKernel } from "./start-up.ts";

const romEnd = 4 * GiB;

export interface MachineEnv {
  readonly hypervisor: Hypervisor;
  readonly clock: MachineClock;
  readonly entropy: Entropy;
  readonly log: Log;
  /** Something may have to be done for a guest that sleeps; from any thread. */
  readonly wake: () => void;
  /** Milliseconds since 1970, UTC. */
  wallClockMs(): number;
  /** The host side of COM1 to COM4, where there is one; the machine closes it. */
  serial(number: number): CharBackend | undefined;
  /** The host side of a byte channel of a function, by the full key of its path. */
  charPort?(key: string): CharBackend | undefined;
  /** The host side of a function that wants a disk; throws ConfigError. */
  openBlock(request: PlannedFunction): BlockBackend;
  /** The folder of a function that shares one; throws ConfigError. */
  openShare?(request: PlannedFunction): FolderShare;
}

export class Machine {
  readonly ports = new PortSpace();
  readonly mmio = new MmioSpace();
  readonly driver: Driver;
  readonly vm: Vm;
  readonly pci: PciHost;
  readonly clock: MachineClock;
  readonly log: Log;
  readonly #plan: MachinePlan;
  readonly #env: MachineEnv;
  readonly #board: Board;
  readonly #vcpu: Vcpu;
  readonly #chips: BoardChips;
  readonly #attached: BoardDevice[] = [];
  readonly #functions: PciDevice[] = [];
  readonly #closers: (() => void)[] = [];
  #romBytes = 0;

  /** Throws ConfigError; what was opened until then is closed again. */
  constructor(plan: MachinePlan, env: MachineEnv) {
    this.#plan = plan;
    this.#env = env;
    this.clock = env.clock;
    this.log = env.log;
    this.#board = { ports: this.ports, mmio: this.mmio };
    this.driver = new Driver({
      interruptSlice: () => this.#vcpu.kick(),
      pressPowerButton: () => this.#pressPowerButton(),
    });
    this.vm = this.#createVm();
    this.#vcpu = defined(this.vm.vcpus[0], "the boot processor");
    this.pci = this.#createPciHost();
    this.#chips = this.#makeChips();
    try {
      this.#assemble();
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /** The processor that starts the machine. */
  get bootVcpu(): Vcpu {
    return this.#vcpu;
  }

  /** Brings memory and registers to where the guest begins. Throws ConfigError. */
  async load(): Promise<void> {
    const { kernel, bootRom } = this.#plan.globals;
    if (bootRom !== undefined || kernel === undefined) {
      return;
    }
    const loaded = await loadKernel({
      plan: this.#plan, vm: this.vm, memory: this.vm.memory, board: this.#board, pci: this.pci,
    }, kernel);
    this.log.info(loaded.kind);
    enter(this.#vcpu, loaded.entry);
  }

  /** Everything as after power-on, before `load`; RAM keeps its bytes. */
  reset(): void {
    for (const device of [...this.#functions, ...this.#attached]) {
      device.reset();
    }
    this.vm.reset();
  }

  /** Lets go of everything on the host. */
  destroy(): void {
    for (const device of this.#functions) {
      device.detach();
    }
    for (const device of this.#attached.toReversed()) {
      device.detach();
    }
    this.vm.destroy();
    for (const close of this.#closers.splice(0).toReversed()) {
      close();
    }
  }

  #createVm(): Vm {
    const { globals, topology } = this.#plan;
    const { hypervisor, clock, log, wake } = this.#env;
    const rom = globals.bootRom === undefined ? undefined
      : readBootRom(readBootFile("bootrom", globals.bootRom));
    this.#romBytes = rom?.length ?? 0;
    return hypervisor.createVm({
      name: globals.name, memoryBytes: globals.memoryBytes, cpus: topology.cpus,
      bus: this.#bus(), clock, log, wake, x86: globals, ...(rom && { rom }),
    });
  }

  /** Reused for every access and allocating nothing: `bench/exits.ts`. */
  #bus(): VcpuBus {
    const { ports, mmio } = this;
    return {
      portRead: (port, size) => ports.read(port, size),
      portWrite: (port, size, value) => ports.write(port, size, value),
      mmioRead: (address, size) => mmio.read(address, size),
      mmioWrite: (address, size, value) => mmio.write(address, size, value),
    };
  }

  #createPciHost(): PciHost {
    const { bootRom, enableBars } = this.#plan.globals;
    return new PciHost({
      router: this.vm.interrupts, log: this.log, bootRom: bootRom !== undefined,
      ...(enableBars !== undefined && { enableBars }),
      ...(this.#plan.globals.testDevice && { ioBase: pcTestdevEnd }),
      memoryEnd: highMemoryBase + this.vm.memory.highBytes,
      ioapicPins: this.vm.features.ioapicPins,
    });
  }

  #makeChips(): BoardChips {
    const { globals } = this.#plan;
    return makeBoardChips({
      memory: this.vm.memory, clock: this.clock, interrupts: this.vm.interrupts,
      control: this.driver,
      wallClockMs: () => this.#wallClockMs(),
      debugConsole: globals.debugConsole ? lineLog(this.log) : undefined,
      exitPort: globals.exitPort, testDevice: globals.testDevice,
      provided: this.vm.features.chips,
      setRtc: (seconds, memory) => this.vm.setRtc?.(seconds, memory),
      replaceLegacyTimers: (replaced) => this.vm.replaceLegacyTimers?.(replaced),
    });
  }

  #wallClockMs(): number {
    const utcMs = this.#env.wallClockMs();
    const offsetMinutes = this.#plan.globals.useLocalTime
      ? new Date(utcMs).getTimezoneOffset() : 0;
    return utcMs - offsetMinutes * 60_000;
  }

  /** Plugs everything in. */
  #assemble(): void {
    const { functions, globals } = this.#plan;
    this.vm.attach(this.#board);
    this.#attach(this.pci);
    for (const chip of this.#chips.all) {
      this.#attach(chip);
    }
    if (functions.some(({ device }) => device === "lpc")) {
      this.#attachUarts();
    }
    const problems = functions.flatMap((each) => this.#tryPlug(each));
    if (problems.length > 0) {
      throw new ConfigError(problems);
    }
    this.pci.place();
    const firmware = firmwareInterface(this.#plan, this.pci);
    if (firmware !== undefined) {
      this.#attach(firmware);
    }
    this.#attachVariables();
    if (globals.strictIo) {
      this.ports.unclaimed = (port, size, value) => this.#refuseAccess(port, size, value);
    }
  }

  /** The chip below the boot ROM, as in bhyve only beside one. */
  #attachVariables(): void {
    const { bootVariables } = this.#plan.globals;
    if (bootVariables !== undefined && this.#romBytes > 0) {
      const store = openVariableStore(bootVariables, this.#romBytes, this.log);
      this.#closers.push(() => store.close());
      this.#attach(new VariableFlash(store, romEnd - this.#romBytes));
    }
  }

  #attachUarts(): void {
    const uarts = makeUarts({
      clock: this.clock, interrupts: this.vm.interrupts,
      serial: (number) => {
        const backend = this.#env.serial(number);
        if (backend !== undefined) {
          this.#closers.push(() => backend.close());
        }
        return backend;
      },
    });
    for (const uart of uarts) {
      this.#attach(uart);
    }
  }

  #attach(device: BoardDevice): void {
    device.attach(this.#board);
    this.#attached.push(device);
  }

  /** One function; what is wrong with its keys is returned, so that all is told at once. */
  #tryPlug(planned: PlannedFunction) {
    try {
      this.#plug(planned);
      return [];
    } catch (error) {
      if (error instanceof ConfigError) {
        return error.problems;
      }
      throw error;
    }
  }

  #plug(planned: PlannedFunction): void {
    const model = defined(devices.get(planned.device), `the model of ${planned.device}`);
    const block = model.backend === "block" ? this.#env.openBlock(planned) : undefined;
    if (block !== undefined) {
      this.#closers.push(() => block.close());
    }
    const share = model.backend === "share" ? this.#env.openShare?.(planned) : undefined;
    if (share !== undefined) {
      this.#closers.push(() => share.close());
    }
    const env: PciEnv = {
      memory: this.vm.memory, clock: this.clock, entropy: this.#env.entropy,
      log: createLog((level, message) => this.log[level](`${planned.key}: ${message}`)),
      key: planned.key, routing: this.pci.routing, virtioMsix: this.#plan.globals.virtioMsix,
      ...(block && { block }), ...(share && { share }),
      charPort: (key) => this.#charPort(`${planned.key}.${key}`),
    };
    const device = model.create(nodeOf(planned.values, planned.key), env);
    this.pci.plug(planned.at, device);
    this.#functions.push(device);
  }

  #charPort(key: string): CharBackend | undefined {
    const backend = this.#env.charPort?.(key);
    if (backend !== undefined) {
      this.#closers.push(() => backend.close());
    }
    return backend;
  }

  #pressPowerButton(): boolean {
    const { acpi } = this.#chips;
    if (acpi.isAcpiMode) {
      acpi.pressPowerButton();
    }
    return acpi.isAcpiMode;
  }

  /** `x86.strictio`: bhyve aborts. */
  #refuseAccess(port: number, size: number, value: number | undefined): void {
    const suffix = size === 1 ? "b" : size === 2 ? "w" : "l";
    const rip = this.#vcpu.register("rip").toString(16);
    this.driver.ask({
      kind: "failure", report: `Unhandled ${value === undefined ? "in" : "out"}${suffix} `
        + `0x${port.toString(16)} at 0x${rip}`,
    });
  }
}

/** A line has an end: a guest that never writes one shall not fill our memory. */
const lineBytesMax = 1024;

/** Bytes of the debug console, line by line into the log. */
function lineLog(log: Log): Pick<CharBackend, "put"> {
  let line: number[] = [];
  return {
    put: (byte) => {
      if (byte !== 0x0a) {
        line.push(byte);
      }
      if (byte === 0x0a || line.length === lineBytesMax) {
        log.info(`debug console: ${Buffer.from(line).toString("utf8").trimEnd()}`);
        line = [];
      }
      return true;
    },
  };
}
