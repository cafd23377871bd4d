/** What every back end must do, whatever runs its vCPUs: `conformance(hypervisor, test)`. */
import type { Hypervisor, RegisterName } from "../../src/vmm/hypervisor.ts";
import { gpa } from "../../src/base/units.ts";
import { assert } from "./harness.ts";
import { codeAt, handlerAt, ramBytes, VmBench } from "./vm-bench.ts";

type Register = (name: string, body: () => void) => void;

const answer = (value: number) => [0xb0, value, 0xe6, 0xf4]; // MOV AL, value; OUT 0xF4, AL
const haltForever = [0xfa, 0xf4]; // CLI; HLT

export function conformance(hypervisor: Hypervisor, test: Register): void {
  const named: Register = (name, body) => test(`${hypervisor.name}: ${name}`, body);
  const withBench = (name: string, body: (bench: VmBench) => void, rom?: Uint8Array) =>
    named(name, () => {
      const bench = new VmBench(hypervisor, rom);
      try {
        body(bench);
      } finally {
        bench.vm.destroy();
      }
    });
  registers(withBench);
  accesses(withBench);
  interrupts(withBench);
  endings(withBench);
}

type WithBench = (name: string, body: (bench: VmBench) => void, rom?: Uint8Array) => void;

function registers(test: WithBench): void {
  test("registers keep what is written to them", ({ vcpu }) => {
    const names: RegisterName[] = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
      "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cr2", "dr0", "dr1", "dr2", "dr3"];
    const values = names.map((_name, index) => 0x7654_3210_0000n + BigInt(index));
    names.forEach((name, index) => vcpu.setRegister(name, values[index] ?? 0n));
    vcpu.setRegister("dr7", 0x403n);
    assert.deepEqual(names.map((name) => vcpu.register(name)), values);
    assert.equal(vcpu.register("dr7"), 0x403n);
  });

  test("segments keep selector, base, limit and attributes", ({ vcpu }) => {
    const segment = { selector: 0x28, base: 0x12_3450n, limit: 0x000f_ffff, attributes: 0x4093 };
    for (const name of ["es", "ds", "fs", "gs"] as const) {
      vcpu.setSegment(name, segment);
      assert.deepEqual(vcpu.segment(name), segment, name);
    }
    const code = { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b };
    vcpu.setRegister("cr0", 0x11n);
    vcpu.setSegment("cs", code);
    assert.deepEqual(vcpu.segment("cs"), code);
  });

  test("a guest sees the registers it was given, and leaves its own", (bench) => {
    const { vcpu } = bench;
    // INC EBX; MOV ECX, 0x12345678; then the answer.
    bench.real([0x66, 0x43, 0x66, 0xb9, 0x78, 0x56, 0x34, 0x12, ...answer(1), ...haltForever]);
    vcpu.setRegister("rbx", 41n);
    bench.runToAnswer();
    assert.equal(vcpu.register("rbx"), 42n);
    assert.equal(vcpu.register("rcx"), 0x1234_5678n);
    const rip = Number(vcpu.register("rip"));
    assert.ok(rip >= codeAt + 10 && rip <= codeAt + 14, `rip ${rip.toString(16)}`);
  });

  test("a reset brings the state of power-on, and RAM keeps its bytes", (bench) => {
    const { vcpu, vm } = bench;
    const before = vcpu.segment("cs");
    assert.equal(vcpu.register("rip"), 0xfff0n);
    assert.equal(before.base, 0xffff_0000n);
    bench.flat([...answer(1), ...haltForever]).put(0x4000, [1, 2, 3]);
    bench.runToAnswer();
    vm.reset();
    assert.deepEqual(vcpu.segment("cs"), before);
    assert.equal(vcpu.register("rip"), 0xfff0n);
    assert.equal(vcpu.register("rflags"), 2n);
    assert.equal(vcpu.register("cr0") & 1n, 0n);
    assert.deepEqual([...vm.memory.read(gpa(0x4000), 3)], [1, 2, 3]);
    bench.real([...answer(7), ...haltForever]);
    assert.equal(bench.runToAnswer(), 7, "it runs again");
  });

  const rom = new Uint8Array(0x1_0000).fill(0x90);
  rom.set([0xb0, 0x33, 0xe6, 0xf4, 0xf4], 0xfff0);
  test("a boot ROM has the first instruction, its shadow lies below 1 MiB", (bench) => {
    assert.equal(bench.runToAnswer(), 0x33);
    assert.equal(bench.vm.memory.contains(gpa(0xf_fff0), 1), ramBytes > 0xf_fff0);
  }, rom);
}

function accesses(test: WithBench): void {
  test("IN and OUT of all sizes", (bench) => {
    bench.input = () => 0x8765_4321;
    bench.real([0x66, 0xb8, 0xdd, 0xcc, 0xbb, 0xaa, 0xba, 0x34, 0x12, 0xec, 0xee, 0xed, 0xef,
      0x66, 0xed, 0x66, 0xef, ...answer(1), ...haltForever]);
    bench.runToAnswer();
    assert.deepEqual(bench.accesses.slice(0, 6).map(({ kind, address, size, value }) =>
      [kind, address, size, value & (size === 4 ? -1 : (1 << size * 8) - 1)]), [
      ["in", 0x1234, 1, 0x21], ["out", 0x1234, 1, 0x21], ["in", 0x1234, 2, 0x4321],
      ["out", 0x1234, 2, 0x4321], ["in", 0x1234, 4, 0x8765_4321 | 0],
      ["out", 0x1234, 4, 0x8765_4321 | 0],
    ]);
  });

  test("narrow IN leaves the rest of the register", (bench) => {
    bench.input = () => 0x55;
    bench.real([0x66, 0xb8, 0xdd, 0xcc, 0xbb, 0xaa, 0xe4, 0x80, 0x66, 0x89, 0xc3, ...answer(1),
      ...haltForever]);
    bench.runToAnswer();
    assert.equal(bench.vcpu.register("rbx") & 0xffff_ffffn, 0xaabb_cc55n);
  });

  test("REP OUTSB and REP INSW move all their items", (bench) => {
    let next = 0x1001;
    bench.input = () => next++;
    bench.real([0xfc, 0xbe, 0x00, 0x20, 0xb9, 4, 0, 0xba, 0x35, 0x12, 0xf3, 0x6e, 0xbf, 0x00, 0x30,
      0xb9, 3, 0, 0xf3, 0x6d, ...answer(1), ...haltForever]).put(0x2000, [9, 8, 7, 6]);
    bench.runToAnswer();
    assert.deepEqual(bench.accesses.filter(({ kind, address }) =>
      kind === "out" && address === 0x1235).map(({ value }) => value), [9, 8, 7, 6]);
    assert.deepEqual([0, 2, 4].map((at) => bench.vm.memory.u16(gpa(0x3000 + at))),
      [0x1001, 0x1002, 0x1003]);
    assert.equal(bench.vcpu.register("rcx") & 0xffffn, 0n);
    assert.equal(bench.vcpu.register("rdi") & 0xffffn, 0x3006n);
  });

  test("accesses outside RAM of all sizes", (bench) => {
    bench.input = (address) => address === 0x9_0004 ? 0xcafe_babe : 0x99;
    // MOV AX, 0x9000; MOV ES, AX; then moves from and to ES:0, 2, 4, 8.
    bench.real([0xb8, 0x00, 0x90, 0x8e, 0xc0, 0x26, 0xa0, 0, 0, 0x26, 0xa3, 2, 0,
      0x66, 0x26, 0xa1, 4, 0, 0x66, 0x89, 0xc3, 0x26, 0xc7, 0x06, 8, 0, 0x34, 0x12,
      ...answer(1), ...haltForever]);
    bench.runToAnswer();
    assert.deepEqual(bench.accesses.slice(0, 4).map((each) =>
      [each.kind, each.address, each.size]), [
      ["read", 0x9_0000, 1], ["write", 0x9_0002, 2], ["read", 0x9_0004, 4],
      ["write", 0x9_0008, 2],
    ]);
    assert.equal(bench.accesses[1]?.value, 0x9099);
    assert.equal(bench.accesses[3]?.value, 0x1234);
    assert.equal(bench.vcpu.register("rbx") & 0xffff_ffffn, 0xcafe_baben);
  });

  test("read-modify-write, string move and comparison with memory outside RAM", (bench) => {
    bench.input = () => 0x0f;
    // ES = 0x9000; OR byte ES:[0], 0xF0; CMP byte ES:[1], 0x0F; SETZ BL; MOVSB from ES:[2].
    bench.real([0xb8, 0x00, 0x90, 0x8e, 0xc0, 0x26, 0x80, 0x0e, 0, 0, 0xf0,
      0x26, 0x80, 0x3e, 1, 0, 0x0f, 0x0f, 0x94, 0xc3,
      0x8e, 0xd8, 0x31, 0xff, 0x8e, 0xc7, 0xbf, 0x00, 0x40, 0xbe, 2, 0, 0xa4,
      ...answer(1), ...haltForever]);
    bench.runToAnswer();
    const seen = bench.accesses.slice(0, 4).map(({ kind, address, value }) =>
      [kind, address, value & 0xff]);
    assert.deepEqual(seen, [["read", 0x9_0000, 0x0f], ["write", 0x9_0000, 0xff],
      ["read", 0x9_0001, 0x0f], ["read", 0x9_0002, 0x0f]]);
    assert.equal(bench.vcpu.register("rbx") & 0xffn, 1n);
    assert.equal(bench.vm.memory.u8(gpa(0x4000)), 0x0f);
  });
}

/** The 8259 pair with vectors from 0x20, all masked but IRQ 4. */
const setUpPic = [[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, 1], [0x21, 0xef]]
  .flatMap(([port = 0, value = 0]) => [0xb0, value, 0xe6, port]);

function interrupts(test: WithBench): void {
  test("a line of the 8259 ends a halt, once an edge", (bench) => {
    const handler = [...answer(0x77), 0xb0, 0x20, 0xe6, 0x20, 0xcf];
    bench.real([...setUpPic, 0xfb, 0xf4, ...answer(0x78), 0xf4, 0xeb, 0xfd])
      .put(handlerAt, handler).put(0x24 * 4, [handlerAt & 0xff, handlerAt >>> 8, 0, 0]);
    const line = bench.vm.interrupts.line(4, -1);
    const toggle = () => { line.set(true); };
    assert.equal(bench.runToAnswer(toggle), 0x77);
    assert.equal(bench.runToAnswer(), 0x78, "and the guest goes on behind its HLT");
    line.set(false);
    assert.equal(bench.runToAnswer(toggle), 0x77, "a new edge, a new interrupt");
  });

  // MOV [0xFEE000F0], 0x1FF; STI; then HLT in a loop.
  const enableApic = [0xc7, 0x05, 0xf0, 0x00, 0xe0, 0xfe, 0xff, 0x01, 0x00, 0x00];
  const endOfInterrupt = [0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0];
  test("messages reach the local APIC with their vectors; others go nowhere", (bench) => {
    // It waits itself: KVM on some hosts cannot emulate IRET in protected mode.
    const handler = (value: number) =>
      [...endOfInterrupt, ...answer(value), 0xfb, 0xf4, 0xeb, 0xfd];
    bench.flat([...enableApic, ...answer(1), 0xfb, 0xf4, 0xeb, 0xfd],
      { 0x41: handlerAt, 0x52: handlerAt + 0x40 })
      .put(handlerAt, handler(0x41)).put(handlerAt + 0x40, handler(0x52));
    bench.runToAnswer();
    const { interrupts: router } = bench.vm;
    router.send(0x1234_5678, 0x52);
    const once = (data: number) => {
      let sent = false;
      return () => {
        if (!sent) {
          sent = true;
          router.send(0xfee0_0000, data);
        }
      };
    };
    assert.equal(bench.runToAnswer(once(0x41)), 0x41);
    assert.equal(bench.runToAnswer(once(0x52)), 0x52);
  });

  test("a pin of the I/O APIC interrupts by its entry", (bench) => {
    // Entry of pin 17: vector 0x61, edge, physical destination 0.
    const select = (register: number) => [0xc7, 0x05, 0, 0, 0xc0, 0xfe, register, 0, 0, 0];
    const window = (value: number) =>
      [0xc7, 0x05, 0x10, 0, 0xc0, 0xfe, value & 0xff, value >>> 8, 0, 0];
    bench.flat([...enableApic, ...select(0x10 + 35), ...window(0), ...select(0x10 + 34),
      ...window(0x61), 0xfb, 0xf4, 0xeb, 0xfd], { 0x61: handlerAt })
      .put(handlerAt, [...answer(0x61), ...endOfInterrupt, 0xcf]);
    const line = bench.vm.interrupts.line(-1, 17);
    assert.equal(bench.runToAnswer(() => { line.set(false); line.set(true); }), 0x61);
  });
}

function endings(test: WithBench): void {
  test("HLT with interrupts off is told", (bench) => {
    bench.real(haltForever);
    assert.deepEqual(bench.run(), { reason: "halt", interruptible: false });
  });

  test("a fault that cannot be delivered is a triple fault", (bench) => {
    bench.flat([0x0f, 0x0b]);
    assert.deepEqual(bench.run(), { reason: "tripleFault" });
  });

  test("an endless loop yields at the end of its slice, and at a kick", (bench) => {
    bench.real([0xe6, 0x80, 0xeb, 0xfc]);
    const result = bench.vcpu.run(20_000, 20_000_000);
    assert.equal(result.reason, "yield");
    const { length } = bench.accesses;
    assert.ok(length > 0);
    bench.onAccess = () => bench.vcpu.kick();
    bench.vcpu.run(1_000_000_000, 1e12);
    assert.ok(bench.accesses.length - length < 10_000, "it ended long before its slice");
  });
}
