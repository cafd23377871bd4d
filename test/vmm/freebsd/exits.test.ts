/** Exits that the soft vCPU behind the fake never makes: a kernel that returns a script of them. */
import { constants } from "node:os";
import { createLog } from "../../../src/base/log.ts";
import { ManualClock } from "../../../src/fabric/clock.ts";
import type { NativeAddon } from "../../../src/host/native.ts";
import { VmmVm } from "../../../src/vmm/freebsd/vm.ts";
import { assert, test } from "../../support/harness.ts";
import { Fact, Facts } from "./fake/facts.ts";
import { versions } from "./fake/run.ts";

const { EINTR, EINVAL, ENOENT, ENOTTY } = constants.errno;

interface Call {
  readonly name: string;
  readonly argument: Fact | undefined;
  readonly number: number;
}

type Script = (exit: Fact, facts: Facts, cpuset: Uint8Array) => void;

/** An addon whose ioctls answer from a script; arguments are read by the facts' own offsets. */
class ScriptedKernel {
  readonly calls: Call[] = [];
  readonly accesses: string[] = [];
  readonly registers = new Map<number, bigint>();
  readonly facts: Facts;
  readonly vm: VmmVm;
  readonly #scripts: (Script | number)[] = [];
  readonly #views = new Map<number, Uint8Array>();
  readonly #hasControl: boolean;

  constructor(version: string, cpus = 1) {
    this.facts = new Facts(version);
    this.#hasControl = version === "freebsd15";
    const note = (kind: string, at: number, size: number, value?: number) => {
      this.accesses.push(`${kind} ${at.toString(16)} ${size} ${value?.toString(16) ?? ""}`.trim());
    };
    this.vm = new VmmVm(this.#addon(), "scripted", {
      memoryBytes: 64 * 1024, cpus, clock: new ManualClock(), log: createLog(() => {}),
      wake: () => {},
      bus: {
        portRead: (port, size) => { note("in", port, size); return 0x8765_4321; },
        portWrite: (port, size, value) => note("out", port, size, value),
        mmioRead: (at, size) => { note("read", at, size); return 0x1122_3344; },
        mmioWrite: (at, size, value) => note("write", at, size, value),
      },
    });
    this.calls.length = 0;
  }

  /** What the next VM_RUN returns: an exit, or -errno. */
  next(...scripts: (Script | number)[]): this {
    this.#scripts.push(...scripts);
    return this;
  }

  run() {
    const [vcpu] = this.vm.vcpus;
    assert.ok(vcpu);
    return vcpu.run(1, 1e9);
  }

  named(name: string): Call[] {
    return this.calls.filter((call) => call.name === name);
  }

  register(name: string): bigint {
    return this.registers.get(this.facts.value(`VM_REG_GUEST_${name}`)) ?? 0n;
  }

  #addon(): NativeAddon {
    const refused = () => { throw new Error("not of this test"); };
    const all: Partial<NativeAddon> = {
      open: (path) => path !== "/dev/vmmctl" || this.#hasControl ? 7 : -ENOENT,
      close: () => 0, mapOver: () => 0, mapZeroes: () => 0,
      sysctl: () => 0, ioctlValue: () => -ENOTTY,
      addressOf: (bytes) => {
        const at = 0x1000_0000 + this.#views.size * 0x1_0000;
        this.#views.set(at, bytes as Uint8Array);
        return at;
      },
      ioctl: (_fd, request, bytes) => this.#ioctl(request, bytes as Uint8Array),
    };
    return new Proxy(all, {
      get: (target, name) => Reflect.get(target, name) ?? refused,
    }) as NativeAddon;
  }

  #ioctl(request: number, bytes: Uint8Array): number {
    const found = this.facts.ioctl(request);
    if (found === undefined) {
      return -ENOTTY;
    }
    const raw = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const live = found.struct === undefined ? undefined : new Fact(this.facts, found.struct, raw);
    const number = raw.length >= 4 ? new DataView(raw.buffer, raw.byteOffset).getInt32(0, true) : 0;
    this.calls.push({
      name: found.name, number,
      argument: live && new Fact(this.facts, found.struct ?? "", raw.slice()),
    });
    if (found.name === "VM_RUN" && live !== undefined) {
      return live.get("cpuid") < 0 ? -EINVAL : this.#run(live);
    }
    if (found.name === "VM_SET_REGISTER" && live !== undefined) {
      this.registers.set(live.get("regnum"), live.big("regval"));
    } else if (found.name === "VM_GET_REGISTER" && live !== undefined) {
      live.set("regval", this.registers.get(live.get("regnum")) ?? 0n);
    } else if (found.name === "VM_GLA2GPA" && live !== undefined) {
      live.set("gpa", live.big("gla")).set("fault", 0);
    }
    return 0;
  }

  #run(argument: Fact): number {
    const script = this.#scripts.shift() ?? -EINTR;
    if (typeof script === "number") {
      return script;
    }
    const exit = new Fact(this.facts, "vm_exit");
    const isInline = !this.facts.has("vm_run", "cpuset");
    const cpuset = isInline ? exit.bytes.subarray(24, 56)
      : this.#views.get(argument.get("cpuset")) ?? new Uint8Array(128);
    script(exit, this.facts, cpuset);
    if (isInline) {
      argument.put("vm_exit", exit.bytes);
    } else {
      this.#views.get(argument.get("vm_exit"))?.set(exit.bytes);
    }
    return 0;
  }
}

const of = (name: string, fields: Readonly<Record<string, number | bigint>> = {}): Script =>
  (exit, facts) => {
    exit.set("exitcode", facts.value(`VM_EXITCODE_${name}`)).set("rip", 0x1234n);
    for (const [field, value] of Object.entries(fields)) {
      exit.set(`u.${field}`, value);
    }
  };

for (const version of versions) {
  const each = (name: string, body: (kernel: ScriptedKernel) => void, cpus?: number) =>
    test(`${version}: ${name}`, () => {
      const kernel = new ScriptedKernel(version, cpus);
      try {
        body(kernel);
      } finally {
        kernel.vm.destroy();
      }
    });

  each("IN merges into the low half of RAX, OUT passes only its bytes", (kernel) => {
    kernel.next(of("INOUT", { "inout.bytes": 1, "inout.in": 1, "inout.port": 0x60,
      "inout.eax": 0x1122_3344 }));
    kernel.run();
    assert.equal(kernel.register("RAX"), 0x1122_3321n);
    kernel.next(of("INOUT", { "inout.bytes": 2, "inout.port": 0x70, "inout.eax": 0x1122_3344 }),
      of("INOUT", { "inout.bytes": 1, "inout.port": 0x488, "inout.eax": 1 }));
    kernel.run();
    assert.deepEqual(kernel.accesses, ["in 60 1", "out 70 2 3344"], "0x488 is for debugging");
  });

  each("MSRs read as bhyve's; unknown ones are #GP", (kernel) => {
    kernel.next(of("RDMSR", { "msr.code": 0x606 }), of("WRMSR", { "msr.code": 0x79 }),
      of("WRMSR", { "msr.code": 0x12345 }));
    kernel.run();
    assert.deepEqual([kernel.register("RAX"), kernel.register("RDX")], [0xa_1003n, 0n]);
    const injected = kernel.named("VM_INJECT_EXCEPTION");
    assert.equal(injected.length, 1);
    assert.deepEqual(["vector", "error_code", "error_code_valid", "restart_instruction"]
      .map((field) => injected[0]?.argument?.get(field)), [13, 0, 1, 1]);
  });

  each("INT3 without a debugger goes back to the guest", (kernel) => {
    kernel.next(of("BPT", { "bpt.inst_length": 1 }));
    kernel.run();
    assert.equal(kernel.register("ENTRY_INST_LENGTH"), 1n);
    const [injected] = kernel.named("VM_INJECT_EXCEPTION");
    assert.equal(injected?.argument?.get("vector"), 3);
    assert.equal(injected?.argument?.get("error_code_valid"), 0);
  });

  each("exits that ask for nothing are entered again, BOGUS lets timers run", (kernel) => {
    const idle = ["HLT", "PAUSE", "MTRAP", "REQIDLE"].map((name) => of(name));
    kernel.next(...idle, of("BOGUS"));
    assert.deepEqual(kernel.run(), { reason: "yield" });
    assert.equal(kernel.named("VM_RUN").length, idle.length + 1);
  });

  each("EINTR is a kick", (kernel) => {
    kernel.next(-EINTR, of("BOGUS"));
    assert.deepEqual(kernel.run(), { reason: "yield" });
    assert.equal(kernel.named("VM_RUN").length, 1);
  });

  each("a stop by another thread ends, and the vCPU may run on", (kernel) => {
    kernel.next(of("DEBUG"));
    assert.deepEqual(kernel.run(), { reason: "yield" });
    assert.deepEqual(kernel.named("VM_RESUME_CPU").map(({ number }) => number), [0]);
  });

  each("INIT stops its targets, the start-up message starts them in real mode", (kernel) => {
    const ipi = (mode: number, vector: number): Script => (exit, facts, cpuset) => {
      of("IPI", { "ipi.mode": mode, "ipi.vector": vector })(exit, facts, cpuset);
      cpuset[0] = 0b10;
    };
    if (version === "freebsd13") {
      const inline = (mode: number, vector: number): Script => (exit, facts, cpuset) => {
        of("IPI", { "ipi.mode": mode, "ipi.vector": vector })(exit, facts, cpuset);
        exit.bytes[24] = 0b10;
      };
      kernel.next(inline(0x500, 0), inline(0x600, 8));
    } else {
      kernel.next(ipi(0x500, 0), ipi(0x600, 8));
    }
    kernel.run();
    assert.deepEqual(kernel.named("VM_SUSPEND_CPU").map(({ number }) => number), [1]);
    assert.deepEqual(kernel.named("VM_RESUME_CPU").map(({ number }) => number), [1]);
    const descriptors = kernel.named("VM_SET_SEGMENT_DESCRIPTOR").filter(({ argument }) =>
      argument?.get("regnum") === kernel.facts.value("VM_REG_GUEST_CS"));
    assert.equal(descriptors.at(-1)?.argument?.get("cpuid"), 1);
    assert.equal(descriptors.at(-1)?.argument?.big("desc.base"), 0x8000n);
    assert.equal(kernel.register("CS"), 0x800n);
    assert.equal(kernel.register("RIP"), 0n);
  }, 2);

  each("without IPI exits the kernel names the vCPU to start", (kernel) => {
    kernel.next(of("SPINUP_AP", { "spinup_ap.vcpu": 1, "spinup_ap.rip": 0x9000n }));
    kernel.run();
    assert.equal(kernel.register("CS"), 0x900n);
    assert.deepEqual(kernel.named("VM_RESUME_CPU").map(({ number }) => number), [1]);
  }, 2);

  each("endings have their reasons", (kernel) => {
    const { facts } = kernel;
    const suspended = (how: string) => of("SUSPENDED", { "suspended.how": facts.value(how) });
    kernel.next(suspended("VM_SUSPEND_HALT"), suspended("VM_SUSPEND_TRIPLEFAULT"));
    assert.deepEqual(kernel.run(), { reason: "halt", interruptible: false });
    assert.deepEqual(kernel.run(), { reason: "tripleFault" });
    kernel.next(suspended("VM_SUSPEND_DESTROY"));
    const end = kernel.run();
    assert.match(end.reason === "failed" ? end.report : "", /destroyed from outside/);
  });

  each("what the processor or the kernel cannot do ends in a readable report", (kernel) => {
    const reports = [
      [of("VMX", { "vmx.status": 2, "vmx.exit_reason": 0x21, "vmx.exit_qualification": 5n }),
        /refused \(VMX\): status 0x2, exit_reason 0x21, exit_qualification 0x5/],
      [of("SVM", { "svm.exitcode": 0xffff_ffff_ffff_ffffn, "svm.exitinfo1": 1n }),
        /refused \(SVM\): exitcode 0xffffffffffffffff, exitinfo1 0x1/],
      [of("IOAPIC_EOI"),
        /exit VM_EXITCODE_IOAPIC_EOI \(13\), which is the kernel's own; rip 0x1234/],
      [of("RENDEZVOUS"), /exit VM_EXITCODE_RENDEZVOUS/], [of("MWAIT"), /exit VM_EXITCODE_MWAIT/],
      [-EINVAL, /VM_RUN: EINVAL/],
    ] as const;
    for (const [script, pattern] of reports) {
      kernel.next(script);
      const end = kernel.run();
      assert.equal(end.reason, "failed");
      assert.match(end.reason === "failed" ? end.report : "", pattern);
    }
  });

  each("instructions are emulated with the kernel's address, in 64-bit code", (kernel) => {
    const instruction = (bytes: number[], decoded = 1): Script => (exit, facts, cpuset) => {
      of("INST_EMUL", { "inst_emul.gpa": 0xfd00_0010n, "inst_emul.vie.num_valid": bytes.length,
        "inst_emul.vie.decoded": decoded,
        "inst_emul.paging.cpu_mode": facts.value("CPU_MODE_64BIT") })(exit, facts, cpuset);
      exit.set("inst_length", decoded === 0 ? 0 : bytes.length);
      exit.put("u.inst_emul.vie.inst", Uint8Array.from(bytes));
    };
    kernel.registers.set(kernel.facts.value("VM_REG_GUEST_RDX"), 0x1_2233_4455_6677n);
    kernel.next(instruction([0x48, 0x89, 0x10]), instruction([0x88, 0x70, 0x01]),
      instruction([0x8b, 0x08], 0));
    kernel.run();
    assert.deepEqual(kernel.accesses, ["write fd000010 4 44556677", "write fd000014 4 12233",
      "write fd000010 1 66", "read fd000010 4"], "8 bytes are two of 4, DH is a byte");
    assert.equal(kernel.register("RCX"), 0x1122_3344n);
    assert.equal(kernel.register("RIP"), 0x1236n, "what the kernel has not decoded, we step over");
  });
}
