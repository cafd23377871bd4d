/** One VM of the fake /dev/vmm: what its ioctls do, as a real 15.1 kernel was seen to do it. */
import { constants } from "node:os";
import type { NativeAddon } from "../../../../src/host/native.ts";
import type { RegisterName, SegmentName } from "../../../../src/vmm/hypervisor.ts";
import { exitOf } from "./exits.ts";
import { Fact, type FactIoctl, type Facts } from "./facts.ts";
import { FakeGuest, type Trap } from "./guest.ts";

const { EALREADY, EBUSY, EEXIST, EINVAL, ENOENT, ENOTTY } = constants.errno;
const GiB = 2 ** 30;
const memoryFileBytes = 8 * GiB; // Sparse; offsets are guest-physical addresses.
const sliceInstructions = 200_000;
/** A guest that only computes comes back as BOGUS by itself so often. */
const bogusAfterMs = 40;

interface Segment {
  readonly length: number;
  readonly name: string;
  readonly fd: number;
}

/** Memory of the client: what pointers in arguments lead to. */
export interface ClientMemory {
  read(address: number, length: number): Uint8Array;
  write(address: number, bytes: Uint8Array): void;
}

interface Run {
  readonly argument: Fact;
  readonly client: ClientMemory;
  readonly startMs: number;
}

export type Answer = number | "later";

const generals: ReadonlySet<string> = new Set(["RAX", "RBX", "RCX", "RDX", "RSI", "RDI", "RBP",
  "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15", "RSP", "RIP", "RFLAGS", "CR0", "CR2", "CR3",
  "CR4", "EFER", "DR0", "DR1", "DR2", "DR3", "DR6", "DR7"]);
const segmentNames: ReadonlySet<string> =
  new Set(["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"]);

export class FakeVm {
  readonly name: string;
  /** Of the memory file. */
  readonly fd: number;
  readonly segments = new Map<number, Segment>();
  readonly #facts: Facts;
  readonly #addon: NativeAddon;
  readonly #registers: ReadonlyMap<number, string>;
  readonly #rtcMemory: Record<number, number> = {};
  readonly #asserted = new Map<string, { count: number; set(level: boolean): void }>();
  #rtcMs = Date.now();
  #guest: FakeGuest | undefined;
  #ramBytes = 0;
  #active = false;
  #stopped = false;
  #suspended: number | undefined;
  #told = false;
  #run: Run | undefined;
  /** What the kernel arranges at an exit: where the next VM_RUN continues. */
  #next: bigint | undefined;

  constructor(facts: Facts, addon: NativeAddon, name: string) {
    this.#facts = facts;
    this.#addon = addon;
    this.name = name;
    this.fd = addon.memfd(`vmm.${name}`, memoryFileBytes);
    this.#registers = new Map([...facts.names("vm_reg_name")]
      .map(([number, each]) => [number, each.replace("VM_REG_GUEST_", "")]));
  }

  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  destroy(): void {
    this.#addon.close(this.fd);
    for (const { fd } of this.segments.values()) {
      if (fd !== this.fd) {
        this.#addon.close(fd);
      }
    }
  }

  /** `argument` is changed in place where the ioctl answers. */
  ioctl({ name, struct }: FactIoctl, bytes: Uint8Array, client: ClientMemory): Answer {
    const argument = struct === undefined ? undefined : new Fact(this.#facts, struct, bytes);
    const number = new DataView(bytes.buffer, bytes.byteOffset).byteLength >= 4
      ? new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true) : 0;
    const handler = argument === undefined ? this.#plain[name] : undefined;
    if (handler !== undefined) {
      return handler(number);
    }
    const structured = this.#structured[name];
    return structured === undefined || argument === undefined ? -ENOTTY
      : structured(argument, client);
  }

  /** The client's thread has left VM_RUN because of a signal. */
  forget(): void {
    this.#run = undefined;
  }

  /** One slice of a vCPU that is in VM_RUN; its result once it has one. */
  step(): Answer {
    const run = this.#run;
    if (run === undefined) {
      return "later";
    }
    const exit = this.#stateExit() ?? this.#slice(run);
    if (exit === undefined) {
      return "later";
    }
    this.#run = undefined;
    this.#deliver(run, exit);
    return 0;
  }

  readonly #plain: Readonly<Record<string, (value: number) => Answer>> = {
    VM_REINIT: () => this.#reinit(),
    VM_RESTART_INSTRUCTION: () => {
      this.#next = undefined;
      return 0;
    },
    VM_IOAPIC_PINCOUNT: () => 0,
  };

  readonly #structured: Readonly<Record<string,
    (argument: Fact, client: ClientMemory) => Answer>> = {
      VM_RUN: (argument, client) => this.#enter(argument, client),
      VM_SET_TOPOLOGY: (argument) => argument.get("maxcpus") !== 0 ? -EINVAL : 0,
      VM_SET_CAPABILITY: (argument) => argument.get("captype") < 0
        || argument.get("captype") >= this.#facts.value("VM_CAP_MAX") ? -EINVAL : 0,
      VM_SET_X2APIC_STATE: () => 0,
      VM_ALLOC_MEMSEG: (argument) => this.#allocate(argument),
      VM_GET_MEMSEG: (argument) => {
        argument.set("len", this.segments.get(argument.get("segid"))?.length ?? 0);
        return 0;
      },
      VM_MMAP_MEMSEG: (argument) => this.#place(argument),
      VM_ACTIVATE_CPU: (argument) => this.#activate(argument.get("vcpuid")),
      VM_SUSPEND_CPU: () => {
        this.#stopped = true;
        return this.#active ? 0 : -EINVAL;
      },
      VM_RESUME_CPU: () => {
        const was = this.#stopped;
        this.#stopped = false;
        return was ? 0 : -EINVAL;
      },
      VM_SUSPEND: (argument) => this.#suspend(argument.get("how")),
      VM_GET_REGISTER: (argument) => this.#register(argument, false),
      VM_SET_REGISTER: (argument) => this.#register(argument, true),
      VM_GET_SEGMENT_DESCRIPTOR: (argument) => this.#descriptor(argument, false),
      VM_SET_SEGMENT_DESCRIPTOR: (argument) => this.#descriptor(argument, true),
      VM_GLA2GPA: (argument) => this.#translate(argument),
      VM_INJECT_EXCEPTION: (argument) => this.#inject(argument),
      VM_INJECT_NMI: () => {
        this.#theGuest().vm.setNmi(true);
        this.#theGuest().vm.setNmi(false);
        return 0;
      },
      VM_LAPIC_MSI: (argument) => {
        if (argument.big("addr") >> 20n !== 0xfeen) {
          return "later"; // The real one never comes back, either.
        }
        this.#theGuest().vm.interrupts.send(argument.get("addr"), argument.get("msg"));
        return 0;
      },
      VM_ISA_ASSERT_IRQ: (argument) => this.#isa(argument, 1),
      VM_ISA_DEASSERT_IRQ: (argument) => this.#isa(argument, -1),
      VM_IOAPIC_ASSERT_IRQ: (argument) => this.#count(-1, argument.get("irq"), 1),
      VM_IOAPIC_DEASSERT_IRQ: (argument) => this.#count(-1, argument.get("irq"), -1),
      VM_ISA_SET_IRQ_TRIGGER: (argument) =>
        argument.get("trigger") !== 0 && [0, 1, 2, 8, 13].includes(argument.get("atpic_irq"))
          ? -EINVAL : 0,
      VM_RTC_SETTIME: (argument) => {
        this.#rtcMs = argument.get("secs") * 1000;
        return 0;
      },
      VM_RTC_WRITE: (argument) => {
        const offset = argument.get("offset");
        this.#rtcMemory[offset] = argument.get("value");
        return offset < 14 || offset > 127 || offset === 0x32 ? -EINVAL : 0;
      },
      VM_STATS: (argument) => {
        argument.set("num_entries", this.#statisticsFrom(argument)).put("statbuf",
          new Uint8Array(BigUint64Array.of(7n, 8n, 9n).buffer));
        return 0;
      },
      VM_STAT_DESC: (argument) => {
        const text = ["total number of vm exits", "number of ticks vcpu was idle", "memory"]
          .at(argument.get("index"));
        argument.put("desc", Buffer.from(`${text}\0`));
        return argument.get("index") > 2 ? -EINVAL : 0;
      },
    };

  #statisticsFrom(argument: Fact): number {
    return this.#facts.has("vm_stats", "index") && argument.get("index") > 0 ? 0 : 3;
  }

  #theGuest(): FakeGuest {
    if (this.#guest === undefined) {
      const segment = this.segments.get(this.#facts.value("VM_BOOTROM"));
      const rom = segment === undefined ? undefined : new Uint8Array(segment.length);
      this.#guest = new FakeGuest({
        ramBytes: this.#ramBytes, rtcMemory: this.#rtcMemory, wallClockMs: () => this.#rtcMs,
        ...(rom && { rom }),
      });
      const { buffer, base, lowBytes } = this.#guest.vm.memory;
      const ram = new Uint8Array(buffer, base, lowBytes);
      if (this.#addon.mapOver(ram, this.fd, 0) !== 0) {
        throw new Error("the memory file cannot be mapped over RAM");
      }
      if (segment !== undefined) {
        const { map, bytes } = this.#guest.cpu;
        const place = bytes.subarray(map.ram + map.ramBytes, map.ram + map.ramBytes
          + segment.length);
        this.#addon.mapOver(place, segment.fd, 0);
      }
    }
    return this.#guest;
  }

  #allocate(argument: Fact): Answer {
    const segid = argument.get("segid"), length = argument.get("len");
    const known = [...this.#facts.names("vm_memseg_ident").keys()].includes(segid);
    if (!known || length <= 0 || length % 4096 !== 0) {
      return -EINVAL;
    }
    if (this.segments.has(segid)) {
      return -EEXIST;
    }
    const name = argument.text("name");
    const fd = name === "" ? this.fd : this.#addon.memfd(`vmm.io.${name}`, length);
    this.segments.set(segid, { length, name, fd });
    return 0;
  }

  #place(argument: Fact): Answer {
    const segment = this.segments.get(argument.get("segid"));
    if (segment === undefined || argument.get("segoff") + argument.get("len") > segment.length) {
      return -EINVAL;
    }
    if (segment.fd === this.fd) {
      this.#ramBytes += argument.get("len");
    }
    return 0;
  }

  #activate(cpu: number): Answer {
    if (cpu !== 0) {
      return -EINVAL;
    }
    if (this.#active) {
      return -EBUSY;
    }
    this.#active = true;
    return 0;
  }

  #suspend(how: number): Answer {
    if (how <= 0 || how >= this.#facts.value("VM_SUSPEND_LAST")) {
      return -EINVAL;
    }
    if (this.#suspended !== undefined) {
      return -EALREADY;
    }
    this.#suspended = how;
    return 0;
  }

  #reinit(): Answer {
    if (this.#suspended === undefined) {
      return -EBUSY;
    }
    this.#suspended = undefined;
    this.#told = false;
    this.#active = false;
    this.#next = undefined;
    this.#theGuest().vm.reset();
    return 0;
  }

  #enter(argument: Fact, client: ClientMemory): Answer {
    if (argument.get("cpuid") !== 0 || !this.#active || this.#told) {
      return -EINVAL;
    }
    if (this.#next !== undefined) {
      this.#theGuest().vcpu.setRegister("rip", this.#next);
      this.#next = undefined;
    }
    this.#run = { argument, client, startMs: performance.now() };
    return "later";
  }

  #plainExit(name: string): Fact {
    return new Fact(this.#facts, "vm_exit").set("exitcode", this.#facts.value(name))
      .set("rip", this.#theGuest().vcpu.register("rip"));
  }

  /** Exits that do not come from the guest's code. */
  #stateExit(): Fact | undefined {
    if (this.#suspended !== undefined) {
      this.#told = true;
      return this.#plainExit("VM_EXITCODE_SUSPENDED").set("u.suspended.how", this.#suspended);
    }
    return this.#stopped ? this.#plainExit("VM_EXITCODE_DEBUG") : undefined;
  }

  #slice(run: Run): Fact | undefined {
    const guest = this.#theGuest();
    const reason = guest.run(sliceInstructions);
    switch (reason) {
      case "exit": return this.#trapExit(guest, guest.trap);
      case "tripleFault": return this.#end("VM_SUSPEND_TRIPLEFAULT");
      case "halt":
        return guest.cpu.interruptible ? undefined : this.#end("VM_SUSPEND_HALT");
      default:
        return performance.now() - run.startMs > bogusAfterMs
          ? this.#plainExit("VM_EXITCODE_BOGUS") : undefined;
    }
  }

  #end(how: string): Fact | undefined {
    this.#suspended = this.#facts.value(how);
    return this.#stateExit();
  }

  #trapExit(guest: FakeGuest, trap: Trap | undefined): Fact {
    if (trap === undefined) {
      throw new Error("an exit has its cause");
    }
    const exit = exitOf(this.#facts, guest, trap);
    this.#next = exit.big("rip") + BigInt(exit.get("inst_length"));
    return exit;
  }

  /** Into the argument on 13, through the pointer of later versions. */
  #deliver({ argument, client }: Run, exit: Fact): void {
    if (this.#facts.has("vm_run", "cpuset")) {
      client.write(argument.get("vm_exit"), exit.bytes);
    } else {
      argument.put("vm_exit", exit.bytes);
    }
  }

  #register(argument: Fact, write: boolean): Answer {
    const name = this.#registers.get(argument.get("regnum")) ?? "";
    const { vcpu } = this.#theGuest();
    if (name === "INTR_SHADOW" || name === "ENTRY_INST_LENGTH") {
      return 0;
    }
    if (segmentNames.has(name)) {
      const segment = name.toLowerCase() as SegmentName;
      const now = vcpu.segment(segment);
      if (write) {
        vcpu.setSegment(segment, { ...now, selector: argument.get("regval") & 0xffff });
      } else {
        argument.set("regval", now.selector);
      }
      return 0;
    }
    if (!generals.has(name)) {
      return -EINVAL;
    }
    const register = name.toLowerCase() as RegisterName;
    if (write) {
      vcpu.setRegister(register, argument.big("regval"));
      this.#next = register === "rip" ? undefined : this.#next;
    } else {
      argument.set("regval", vcpu.register(register));
    }
    return 0;
  }

  #descriptor(argument: Fact, write: boolean): Answer {
    const name = this.#registers.get(argument.get("regnum")) ?? "";
    const { vcpu } = this.#theGuest();
    if (name === "GDTR" || name === "IDTR") {
      if (write) {
        vcpu.setDescriptorTable(name === "GDTR" ? "gdtr" : "idtr", argument.big("desc.base"),
          argument.get("desc.limit"));
      }
      return 0;
    }
    if (!segmentNames.has(name)) {
      return -EINVAL;
    }
    const segment = name.toLowerCase() as SegmentName;
    const now = vcpu.segment(segment);
    if (write) {
      vcpu.setSegment(segment, {
        selector: now.selector, base: argument.big("desc.base"),
        limit: argument.get("desc.limit") >>> 0, attributes: argument.get("desc.access"),
      });
    } else {
      argument.set("desc.base", now.base).set("desc.limit", now.limit)
        .set("desc.access", now.attributes);
    }
    return 0;
  }

  #translate(argument: Fact): Answer {
    const found = this.#theGuest().translate(argument.big("gla"), argument.get("prot"),
      argument.get("paging.cpl") === 3);
    argument.set("fault", found === undefined ? 1 : 0).set("gpa", found ?? 0);
    if (found === undefined) {
      this.#next = undefined;
    }
    return 0;
  }

  #inject(argument: Fact): Answer {
    const vector = argument.get("vector");
    if (vector < 0 || vector > 31 || vector === 8) {
      return -EINVAL;
    }
    this.#next = undefined;
    this.#theGuest().inject(vector,
      argument.get("error_code_valid") !== 0 ? argument.get("error_code") : undefined);
    return 0;
  }

  #isa(argument: Fact, change: 1 | -1): Answer {
    return this.#count(argument.get("atpic_irq"), argument.get("ioapic_irq"), change);
  }

  /** Assertions are counted. */
  #count(isaIrq: number, pin: number, change: 1 | -1): Answer {
    if (isaIrq > 15 || pin > 31 || isaIrq < -1 || (isaIrq < 0 && pin < 0)) {
      return -EINVAL;
    }
    for (const [irq, input] of [[isaIrq, -1], [-1, pin]] as const) {
      const key = `${irq}.${input}`;
      if (irq >= 0 || input >= 0) {
        const line = this.#asserted.get(key)
          ?? { count: 0, ...this.#theGuest().vm.interrupts.line(irq, input) };
        this.#asserted.set(key, line);
        line.count += change;
        line.set(line.count > 0);
      }
    }
    return 0;
  }
}

export { ENOENT, EEXIST, EINVAL, ENOTTY };
