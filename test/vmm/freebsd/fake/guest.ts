/**
 * The processor and the kernel's own devices behind the fake /dev/vmm: a soft vCPU whose RAM is
 * the memory file that clients map. What leaves it becomes an exit, before the instruction.
 */
import { createLog } from "../../../../src/base/log.ts";
import { decode } from "../../../../src/cpu/decoder/decode.ts";
import type { Instruction } from "../../../../src/cpu/decoder/instruction.ts";
import { exitFault, GuestFault } from "../../../../src/cpu/system/fault.ts";
import type { StopReason } from "../../../../src/cpu/system/options.ts";
import type { Processor } from "../../../../src/cpu/system/processor.ts";
import { segmentIndex, state } from "../../../../src/cpu/layout.ts";
import { Hpet } from "../../../../src/devices/hpet.ts";
import { I8254 } from "../../../../src/devices/i8254.ts";
import { Mc146818 } from "../../../../src/devices/mc146818.ts";
import { MmioSpace, PortSpace } from "../../../../src/fabric/address-space.ts";
import { HostClock } from "../../../../src/machine/host-clock.ts";
import type { Vcpu } from "../../../../src/vmm/hypervisor.ts";
import { SoftVm } from "../../../../src/vmm/software/hypervisor.ts";

const pmTimerPort = 0x408, pmTimerHz = 3_579_545;
const instructionBytes = 15;

/** What made the vCPU leave its code. */
export type Trap =
  | { readonly kind: "port"; readonly port: number; readonly size: number }
  | { readonly kind: "memory"; readonly address: number };

export interface GuestOptions {
  readonly ramBytes: number;
  readonly rom?: Uint8Array;
  /** Bytes of the RTC's memory. */
  readonly rtcMemory: Readonly<Record<number, number>>;
  wallClockMs(): number;
}

export class FakeGuest {
  readonly vm: SoftVm;
  readonly vcpu: Vcpu;
  readonly cpu: Processor;
  readonly mmio = new MmioSpace();
  readonly clock = new HostClock();
  trap: Trap | undefined;
  readonly #ports = new PortSpace();

  constructor(options: GuestOptions) {
    const trap = (what: Trap): never => {
      this.trap = what;
      throw new GuestFault(exitFault);
    };
    const { mmio } = this;
    const ports = this.#ports;
    const bus = {
      portRead: (port: number, size: number) => ports.find(port) ? ports.read(port, size)
        : trap({ kind: "port", port, size }),
      portWrite: (port: number, size: number, value: number) => ports.find(port)
        ? ports.write(port, size, value) : trap({ kind: "port", port, size }),
      mmioRead: (address: number, size: number) => mmio.find(address) ? mmio.read(address, size)
        : trap({ kind: "memory", address }),
      mmioWrite: (address: number, size: number, value: number) => mmio.find(address)
        ? mmio.write(address, size, value) : trap({ kind: "memory", address }),
      exits: (address: number) => {
        if (mmio.find(address)) {
          return false;
        }
        this.trap = { kind: "memory", address };
        return true;
      },
    };
    this.vm = new SoftVm({
      memoryBytes: options.ramBytes, cpus: 1, bus, clock: this.clock, log: createLog(() => {}),
      wake: () => {}, ...(options.rom && { rom: options.rom }),
    });
    const [vcpu] = this.vm.vcpus;
    if (vcpu === undefined) {
      throw new Error("one vCPU");
    }
    this.vcpu = vcpu;
    this.cpu = vcpu.processor;
    this.#plugIn(options);
  }

  run(budget: number): StopReason {
    this.trap = undefined;
    this.clock.timers.runDue(this.clock.nowNs());
    return this.cpu.run(budget);
  }

  /** The instruction at RIP, and its bytes. */
  instruction(): { readonly bytes: Uint8Array; readonly decoded: Instruction } {
    const { cpu } = this;
    const linear = cpu.codeBits === 64 ? cpu.rip : cpu.rip + cpu.segmentBase(segmentIndex.cs);
    const bytes = this.#codeAt(BigInt.asUintN(64, linear));
    const result = decode(bytes, { bits: cpu.codeBits, features: cpu.features });
    if (result.status !== "ok") {
      throw new Error(`no instruction at ${linear.toString(16)}: ${result.status}`);
    }
    return { bytes, decoded: result.instruction };
  }

  /** Gives the guest an exception now. */
  inject(vector: number, errorCode: number | undefined): void {
    this.cpu.deliver(vector, errorCode, "fault");
  }

  /** Physical address, or undefined when the guest got its page fault. */
  translate(linear: bigint, prot: number, user: boolean): number | undefined {
    const request = ((prot & 2) !== 0 ? 2 : 0) | (user ? 4 : 0) | ((prot & 4) !== 0 ? 16 : 0);
    try {
      return this.cpu.access.translate(linear, request);
    } catch (fault) {
      if (!(fault instanceof GuestFault)) {
        throw fault;
      }
      this.cpu.setU64(state.cr2, linear);
      this.inject(fault.vector, fault.error);
      return undefined;
    }
  }

  #codeAt(linear: bigint): Uint8Array {
    const bytes = new Uint8Array(instructionBytes);
    for (const index of bytes.keys()) {
      const at = new Uint8Array(1);
      this.cpu.access.readPhysical(this.cpu.access.translate(linear + BigInt(index), 0), at);
      bytes[index] = at[0] ?? 0;
    }
    return bytes;
  }

  #plugIn({ rtcMemory, wallClockMs }: GuestOptions): void {
    const { clock, mmio } = this;
    const ports = this.#ports;
    const { interrupts } = this.vm;
    const board = { ports, mmio };
    this.vm.attach(board);
    const hpet = new Hpet({
      clock, msi: interrupts, pin: (pin) => interrupts.line(-1, pin),
      legacy: [interrupts.line(0, 2), interrupts.line(8, 8)],
    });
    hpet.attach(board);
    new I8254({ clock, irq: hpet.legacyInput(0) }).attach(board);
    new Mc146818({ memory: rtcMemory }, { clock, irq: hpet.legacyInput(1), wallClockMs })
      .attach(board);
    ports.claim("PM timer", pmTimerPort, 4, {
      read: (offset) => offset === 0 ? Math.floor(clock.nowNs() * pmTimerHz / 1e9) >>> 0 : 0,
      write: () => {},
    });
  }
}
