/**
 * One vCPU of /dev/vmm: VM_RUN and every exit that it can return (usr.sbin/bhyve/amd64/vmexit.c).
 * Exits that are the kernel's own business end the machine with a report.
 */
import { constants } from "node:os";
import { decode } from "../../cpu/decoder/decode.ts";
import type { Instruction } from "../../cpu/decoder/instruction.ts";
import { assert } from "../../base/assert.ts";
import { errorName } from "../../host/native.ts";
import type { GuestMemory } from "../../fabric/memory.ts";
import type { RunResult, SegmentName, VcpuBus } from "../hypervisor.ts";
import { KernelVcpu } from "../kernel-vcpu.ts";
import { readMsr, writeMsr } from "../msrs.ts";
import type { UnknownMsr } from "../unknown-msr.ts";
import type { VmDevice } from "./device.ts";
import { Emulation, type EmulationEnv } from "./emulate.ts";
import { GuestAccess, reach } from "./guest-access.ts";
import { VmmRegisters } from "./registers.ts";
import { serveStringIo } from "./string-io.ts";
import type { Struct } from "./tables.ts";

const { EINTR } = constants.errno;
const yielded: RunResult = { reason: "yield" };
const generalProtection = 13, breakpoint = 3;
const inlineTargets = "u.ipi.dmask.__bits";
const initMode = 0x500, startUpMode = 0x600;
const segmentNames: readonly SegmentName[] = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];
const features: ReadonlySet<string> = new Set();
const outputNotes = 0x488; // A port of bhyve's for debugging; what is written there is dropped.

/** What concerns the VM as a whole. */
export interface VmmVcpuHost {
  /** An INIT or start-up IPI for these vCPUs. */
  stopForInit(cpus: readonly number[]): void;
  startUp(cpus: readonly number[], vector: number): void;
  /** Arms what ends a sleep in the kernel after so many nanoseconds. */
  wakeAfter(lengthNs: number): void;
}

export interface VmmVcpuEnv {
  readonly device: VmDevice;
  readonly cpu: number;
  readonly bus: VcpuBus;
  readonly memory: GuestMemory;
  readonly host: VmmVcpuHost;
  readonly unknownMsr: UnknownMsr;
  /** Shared memory for struct vm_exit and the set of vCPUs behind it. */
  readonly area: Uint8Array;
}

export class VmmVcpu extends KernelVcpu<VmmRegisters> {
  readonly cpu: number;
  readonly #env: VmmVcpuEnv;
  readonly #device: VmDevice;
  readonly #access: GuestAccess;
  readonly #run: Struct;
  readonly #exit: Struct;
  readonly #cpuset: Uint8Array;
  /** By exit code; filled from the version's own numbers. */
  readonly #handlers = new Map<number, () => RunResult | undefined>();
  #kicked = false;

  constructor(env: VmmVcpuEnv) {
    super(new VmmRegisters(env.device, env.cpu));
    this.#env = env;
    this.#device = env.device;
    this.cpu = env.cpu;
    this.#access = new GuestAccess(env);
    const { abi, addon } = env.device;
    this.#run = env.device.struct("vm_run").set("cpuid", env.cpu);
    const exit = abi.layout("vm_exit");
    const setBytes = abi.constant("sizeof(cpuset_t)");
    this.#cpuset = env.area.subarray(exit.size, exit.size + setBytes);
    if (this.#run.has("cpuset")) {
      this.#exit = abi.struct("vm_exit", env.area);
      this.#run.set("vm_exit", addon.addressOf(env.area))
        .set("cpuset", addon.addressOf(this.#cpuset)).set("cpusetsize", setBytes);
    } else { // FreeBSD 13: the exit lies in the argument itself.
      const at = this.#run.layout.size - exit.size;
      this.#exit = abi.struct("vm_exit", this.#run.bytes.subarray(at));
    }
    this.#addHandlers();
  }

  run(_budget: number, lengthNs: number): RunResult {
    const request = this.#device.abi.ioctl("VM_RUN");
    const { addon, fd } = this.#device;
    this.#env.host.wakeAfter(lengthNs);
    while (!this.#kicked) {
      const result = addon.ioctl(fd, request, this.#run.bytes);
      if (result === -EINTR) {
        break;
      }
      if (result < 0) {
        return this.#fail(`VM_RUN: ${errorName(result)}`);
      }
      const handler = this.#handlers.get(this.#exit.get("exitcode"));
      const end = handler === undefined ? this.#unexpected() : handler();
      if (end !== undefined) {
        return end;
      }
    }
    this.#kicked = false;
    return yielded;
  }

  kick(): void {
    this.#kicked = true;
  }

  reset(): void {
    this.registers.reset();
  }

  #addHandlers(): void {
    const handlers: Readonly<Record<string, () => RunResult | undefined>> = {
      INOUT: () => this.#inOut(),
      INOUT_STR: () => this.#stringInOut(),
      INST_EMUL: () => this.#emulate(),
      RDMSR: () => this.#readMsr(),
      WRMSR: () => this.#writeMsr(),
      IPI: () => this.#ipi(),
      SPINUP_AP: () => this.#spinUp(),
      SUSPENDED: () => this.#suspended(),
      BPT: () => this.#breakpoint(),
      HLT: () => undefined, PAUSE: () => undefined, MTRAP: () => undefined,
      DB: () => undefined, REQIDLE: () => undefined,
      // A signal, or the kernel's own time slice: timers may be due.
      BOGUS: () => yielded,
      DEBUG: () => this.#debugStop(),
      VMX: () => this.#fail(this.#describe("vmx",
        ["status", "exit_reason", "exit_qualification", "inst_type", "inst_error"])),
      SVM: () => this.#fail(this.#describe("svm", ["exitcode", "exitinfo1", "exitinfo2"])),
    };
    for (const [name, handler] of Object.entries(handlers)) {
      const constant = `VM_EXITCODE_${name}`;
      if (this.#device.abi.hasConstant(constant)) {
        this.#handlers.set(this.#device.abi.constant(constant), handler);
      }
    }
  }

  /** IN keeps the upper bits that it does not write, of the low 32; the others are cleared. */
  #inOut(): undefined {
    const exit = this.#exit;
    const size = exit.get("u.inout.bytes");
    const port = exit.get("u.inout.port");
    const eax = exit.get("u.inout.eax");
    const mask = size === 4 ? 0xffff_ffff : 2 ** (size * 8) - 1;
    if (exit.get("u.inout.in") === 0) {
      if (port !== outputNotes) {
        this.#env.bus.portWrite(port, size, (eax & mask) >>> 0);
      }
      return;
    }
    const value = this.#env.bus.portRead(port, size) & mask;
    this.registers.set("rax", BigInt(((eax & ~mask) | value) >>> 0));
  }

  #stringInOut(): undefined {
    const result = serveStringIo({
      access: this.#access, bus: this.#env.bus,
      register: (name) => this.register(name),
      setRegister: (name, value) => this.setRegister(name, value),
      inject: (vector, code) => this.#inject(vector, code),
    }, this.#exit);
    if (result !== "done") {
      this.#device.plain("VM_RESTART_INSTRUCTION", this.cpu);
    }
  }

  #emulate(): RunResult | undefined {
    const instruction = this.#fetch();
    if (instruction === "fault") {
      return undefined;
    }
    if (instruction === undefined) {
      return this.#fail("an instruction that cannot be decoded");
    }
    const address = this.#exit.get("u.inst_emul.gpa");
    const result = new Emulation(this.#emulationEnv(), instruction, address).run();
    switch (result) {
      case "unknown":
        return this.#fail(`${instruction.row.mnemonic} with memory outside RAM at `
          + address.toString(16));
      case "done": this.#advance(instruction.length); return undefined;
      default: this.#device.plain("VM_RESTART_INSTRUCTION", this.cpu); return undefined;
    }
  }

  /** The kernel goes on behind an instruction that it has decoded itself. */
  #advance(length: number): void {
    const exit = this.#exit;
    if (exit.get("u.inst_emul.vie.decoded") === 0 || exit.get("inst_length") !== length) {
      this.registers.set("rip", exit.big("rip") + BigInt(length));
    }
  }

  #emulationEnv(): EmulationEnv {
    return {
      register: (name) => this.register(name),
      setRegister: (name, value) => this.setRegister(name, value),
      segmentBase: (index) => {
        const name = segmentNames[index] ?? "ds";
        const isFlat = this.#codeBits() === 64 && name !== "fs" && name !== "gs";
        return isFlat ? 0n : this.segment(name).base;
      },
      read: (address, size) => this.#access.read(address, size),
      write: (address, size, value) => this.#access.write(address, size, value),
      translate: (linear, write) => this.#access.translate(
        linear, write ? reach.write : reach.read, this.#exit, "inst_emul"),
    };
  }

  /** The instruction of the exit: its bytes as the kernel has them, or fetched. */
  #fetch(): Instruction | "fault" | undefined {
    const exit = this.#exit;
    const valid = Math.min(15, exit.get("u.inst_emul.vie.num_valid"));
    const given = exit.part("u.inst_emul.vie.inst").slice(0, valid);
    const first = decode(given, { bits: this.#codeBits(), features });
    if (first.status === "ok") {
      return first.instruction;
    }
    const bytes = this.#fetchBytes(exit.big("u.inst_emul.cs_base") + exit.big("rip"));
    if (bytes === undefined) {
      return "fault";
    }
    const second = decode(bytes, { bits: this.#codeBits(), features });
    return second.status === "ok" ? second.instruction : undefined;
  }

  #fetchBytes(linear: bigint): Uint8Array | undefined {
    const bytes = new Uint8Array(15);
    for (let index = 0; index < bytes.length; index += 1) {
      const address = this.#access.translate(BigInt.asUintN(64, linear + BigInt(index)),
        reach.execute, this.#exit, "inst_emul");
      if (address === undefined) {
        return undefined;
      }
      bytes[index] = Number(this.#access.read(address, 1));
    }
    return bytes;
  }

  #codeBits(): 16 | 32 | 64 {
    const { abi } = this.#device;
    if (this.#exit.get("u.inst_emul.paging.cpu_mode") === abi.constant("CPU_MODE_64BIT")) {
      return 64;
    }
    return this.#exit.get("u.inst_emul.cs_d") !== 0 ? 32 : 16;
  }

  #readMsr(): undefined {
    const index = this.#exit.get("u.msr.code") >>> 0;
    const value = readMsr(index) ?? (this.#env.unknownMsr(index) ? 0n : undefined);
    if (value === undefined) {
      this.#inject(generalProtection, 0);
      return;
    }
    this.registers.set("rax", value & 0xffff_ffffn);
    this.registers.set("rdx", value >> 32n);
  }

  #writeMsr(): undefined {
    const index = this.#exit.get("u.msr.code") >>> 0;
    if (!writeMsr(index) && !this.#env.unknownMsr(index, this.#exit.unsigned("u.msr.wval"))) {
      this.#inject(generalProtection, 0);
    }
  }

  #inject(vector: number, errorCode: number | undefined): void {
    this.#device.call("VM_INJECT_EXCEPTION", this.#device.struct("vm_exception")
      .set("cpuid", this.cpu).set("vector", vector).set("error_code", errorCode ?? 0)
      .set("error_code_valid", errorCode === undefined ? 0 : 1).set("restart_instruction", 1));
  }

  /** The set of targets: behind the exit, or within it on FreeBSD 13. */
  #targets(): number[] {
    const set = this.#exit.has(inlineTargets) ? this.#exit.part(inlineTargets) : this.#cpuset;
    return [...set].flatMap((byte, index) => [0, 1, 2, 3, 4, 5, 6, 7]
      .filter((bit) => (byte >>> bit & 1) !== 0).map((bit) => index * 8 + bit));
  }

  #ipi(): undefined {
    const mode = this.#exit.get("u.ipi.mode");
    if (mode === initMode) {
      this.#env.host.stopForInit(this.#targets());
    } else if (mode === startUpMode) {
      this.#env.host.startUp(this.#targets(), this.#exit.get("u.ipi.vector"));
    }
  }

  #spinUp(): undefined {
    this.#env.host.startUp([this.#exit.get("u.spinup_ap.vcpu")],
      Number(this.#exit.big("u.spinup_ap.rip") >> 12n));
  }

  #suspended(): RunResult {
    const how = this.#exit.get("u.suspended.how");
    switch (this.#device.abi.nameOf("VM_SUSPEND_", how)) {
      case "VM_SUSPEND_HALT": return { reason: "halt", interruptible: false };
      case "VM_SUSPEND_TRIPLEFAULT": return { reason: "tripleFault" };
      case "VM_SUSPEND_DESTROY": return this.#fail("the VM was destroyed from outside");
      default: return yielded; // We asked for it ourselves.
    }
  }

  /** Stopped by a kick, ours or another thread's. */
  #debugStop(): RunResult {
    this.#device.plain("VM_RESUME_CPU", this.cpu);
    return yielded;
  }

  /** INT3 with no debugger: back to the guest. */
  #breakpoint(): undefined {
    this.#device.call("VM_SET_REGISTER", this.#device.struct("vm_register")
      .set("cpuid", this.cpu)
      .set("regnum", this.#device.abi.constant("VM_REG_GUEST_ENTRY_INST_LENGTH"))
      .set("regval", this.#exit.get("u.bpt.inst_length")));
    this.#inject(breakpoint, undefined);
  }

  #unexpected(): RunResult {
    const code = this.#exit.get("exitcode");
    return this.#fail(`exit ${this.#device.abi.nameOf("VM_EXITCODE_", code)} (${code}), which `
      + "is the kernel's own");
  }

  #describe(part: string, fields: readonly string[]): string {
    const values = fields.map((field) =>
      `${field} 0x${this.#exit.unsigned(`u.${part}.${field}`).toString(16)}`);
    return `the processor refused (${part.toUpperCase()}): ${values.join(", ")}`;
  }

  #fail(what: string): RunResult {
    const bytes = Buffer.from(this.#exit.part("u.inst_emul.vie.inst")).toString("hex");
    const place = `rip 0x${this.#exit.big("rip").toString(16)}, exit `
      + `${this.#exit.get("exitcode")}, bytes ${bytes}`;
    assert(what !== "", "a report says something");
    return { reason: "failed", report: `/dev/vmm cannot go on: ${what}; ${place}` };
  }
}
