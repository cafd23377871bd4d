/**
 * A VM with nothing around it but the two address spaces, for tests of back ends: guests are a few
 * bytes of machine code, and every access that leaves the vCPU is noted.
 */
import { createLog } from "../../src/base/log.ts";
import { gpa, millisecondNs } from "../../src/base/units.ts";
import { MmioSpace, PortSpace } from "../../src/fabric/address-space.ts";
import { HostClock } from "../../src/machine/host-clock.ts";
import type { Hypervisor, RunResult, Vcpu, Vm, VmOptions } from "../../src/vmm/hypervisor.ts";

export const ramBytes = 512 * 1024;
/** Where guests start, with a stack below and tables above. */
export const codeAt = 0x1000, stackAt = 0x8000, handlerAt = 0x1100;
const gdtAt = 0x2000, idtAt = 0x3000;

export interface Access {
  readonly kind: "in" | "out" | "read" | "write";
  readonly address: number;
  readonly size: number;
  readonly value: number;
}

/** Longer than any guest here takes, on an emulating KVM too. */
const limitMs = 5000;
const sliceNs = 20 * millisecondNs;
const sliceInstructions = 20_000;

export class VmBench {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly ports = new PortSpace();
  readonly mmio = new MmioSpace();
  readonly accesses: Access[] = [];
  /** What guests read from places that nothing has claimed. */
  input: (address: number, size: number) => number = () => 0;
  /** Called after every noted access; `stop` ends the run. */
  onAccess: (access: Access) => void = () => {};
  readonly clock = new HostClock();
  #stopped = false;

  constructor(hypervisor: Hypervisor, rom?: Uint8Array, more: Partial<VmOptions> = {}) {
    const note = (access: Access): number => {
      this.accesses.push(access);
      this.onAccess(access);
      return access.value;
    };
    const { ports, mmio } = this;
    this.vm = hypervisor.createVm({
      memoryBytes: ramBytes, cpus: 1, clock: this.clock, log: createLog(() => {}),
      wake: () => {}, ...(rom && { rom }), ...more,
      bus: {
        portRead: (address, size) => ports.find(address) ? ports.read(address, size)
          : note({ kind: "in", address, size, value: this.input(address, size) }),
        portWrite: (address, size, value) => ports.find(address)
          ? ports.write(address, size, value)
          : void note({ kind: "out", address, size, value: value >>> 0 }),
        mmioRead: (address, size) => mmio.find(address) ? mmio.read(address, size)
          : note({ kind: "read", address, size, value: this.input(address, size) }),
        mmioWrite: (address, size, value) => mmio.find(address)
          ? mmio.write(address, size, value)
          : void note({ kind: "write", address, size, value: value >>> 0 }),
      },
    });
    this.vm.attach({ ports, mmio });
    const [vcpu] = this.vm.vcpus;
    if (vcpu === undefined) {
      throw new Error("a VM has a vCPU");
    }
    this.vcpu = vcpu;
  }

  /** Real mode, all segments at 0. */
  real(code: readonly number[]): this {
    this.vm.memory.write(gpa(codeAt), Uint8Array.from(code));
    for (const name of ["cs", "ss", "ds", "es"] as const) {
      this.vcpu.setSegment(name, { ...this.vcpu.segment(name), selector: 0, base: 0n });
    }
    this.vcpu.setRegister("rip", BigInt(codeAt));
    this.vcpu.setRegister("rsp", BigInt(stackAt));
    return this;
  }

  /** Flat 32-bit protected mode; `gates` are handlers by vector. */
  flat(code: readonly number[], gates: Readonly<Record<number, number>> = {}): this {
    const { memory } = this.vm;
    memory.write(gpa(codeAt), Uint8Array.from(code));
    for (const [index, [low, high]] of [
      [0, 0], [0x0000_ffff, 0x00cf_9b00], [0x0000_ffff, 0x00cf_9300],
    ].entries()) {
      memory.setU32(gpa(gdtAt + index * 8), low ?? 0);
      memory.setU32(gpa(gdtAt + index * 8 + 4), high ?? 0);
    }
    for (const [vector, handler] of Object.entries(gates)) {
      const at = idtAt + Number(vector) * 8;
      memory.setU32(gpa(at), 8 << 16 | handler);
      memory.setU32(gpa(at + 4), 0x8e00);
    }
    this.vcpu.setDescriptorTable("gdtr", BigInt(gdtAt), 0x17);
    this.vcpu.setDescriptorTable("idtr", BigInt(idtAt), Object.keys(gates).length > 0 ? 0x7ff : 0);
    this.vcpu.setRegister("cr0", 0x11n);
    const plain = { base: 0n, limit: 0xffff_ffff };
    this.vcpu.setSegment("cs", { ...plain, selector: 8, attributes: 0xc09b });
    for (const name of ["ss", "ds", "es"] as const) {
      this.vcpu.setSegment(name, { ...plain, selector: 16, attributes: 0xc093 });
    }
    this.vcpu.setRegister("rip", BigInt(codeAt));
    this.vcpu.setRegister("rsp", BigInt(stackAt));
    return this;
  }

  put(address: number, bytes: readonly number[]): this {
    this.vm.memory.write(gpa(address), Uint8Array.from(bytes));
    return this;
  }

  stop(): void {
    this.#stopped = true;
    this.vcpu.kick();
  }

  /** Runs until `stop`, or until something other than a slice's end or a halt that can end. */
  run(whileRunning: () => void = () => {}): RunResult | "stopped" {
    this.#stopped = false;
    const end = performance.now() + limitMs;
    while (performance.now() < end) {
      const result = this.vcpu.run(sliceInstructions, sliceNs);
      if (this.#stopped) {
        return "stopped";
      }
      if (result.reason !== "yield" && !(result.reason === "halt" && result.interruptible)) {
        return result;
      }
      this.clock.timers.runDue(this.clock.nowNs());
      whileRunning();
    }
    const rip = this.vcpu.register("rip").toString(16);
    throw new Error(`the guest did not end; rip ${rip}, ${JSON.stringify(this.accesses)}`);
  }

  /** Runs until the guest writes to port 0xF4, and returns what it wrote. */
  runToAnswer(whileRunning?: () => void): number {
    let answer = -1;
    this.onAccess = ({ kind, address, value }) => {
      if (kind === "out" && address === 0xf4) {
        answer = value;
        this.stop();
      }
    };
    const result = this.run(whileRunning);
    if (result !== "stopped") {
      throw new Error(`the guest gave no answer: ${JSON.stringify(result)}`);
    }
    return answer;
  }
}
