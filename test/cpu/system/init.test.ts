/** What INIT leaves alone, and what only power-on clears (Intel SDM 3A table 9-1). */
import { state } from "../../../src/cpu/layout.ts";
import { attention, type LocalApic } from "../../../src/cpu/system/options.ts";
import { x87StateBytes } from "../../../src/cpu/x87/state.ts";
import { assert } from "../../support/harness.ts";
import { assemble, assemblyTest } from "../../support/nasm.ts";
import { enterLongMode, testMachine, type TestMachine } from "./machine-code.ts";

/** A local APIC with which the test sends INIT. */
class InitOnly implements LocalApic {
  attention = 0;
  tpr = 0;
  pendingVector = (): number => -1;
  acknowledge = (): number => -1;
  takeNmi = (): boolean => false;
  takeStartUp = (): number => -1;
  ownsMsr = (): boolean => false;
  readMsr = (): boolean => false;
  writeMsr = (): boolean => false;

  takeInit(): boolean {
    this.attention = 0;
    return true;
  }
}

const codeAt = 0x8000;

/** Loads something into every kind of register, then INIT (or power-on) comes. */
function afterInit(how: "init" | "power-on") {
  const apic = new InitOnly();
  const machine = testMachine({ apic });
  enterLongMode(machine);
  const { cpu, ram } = machine;
  ram.set(assemble(`
    fninit
    fldpi
    mov rax, 0x123456789abcdef0
    movq xmm3, rax
    mov dword [0x7000], 0x1f00
    ldmxcsr [0x7000]
    mov ecx, 0x174            ; IA32_SYSENTER_CS
    mov eax, 0x10
    xor edx, edx
    wrmsr
    mov ecx, 0x277            ; IA32_PAT
    mov eax, 0x06060606
    mov edx, eax
    wrmsr
    hlt
  `, { bits: 64, origin: codeAt }), codeAt);
  cpu.rip = BigInt(codeAt);
  assert.equal(cpu.run(1000), "halt");
  const tsc = cpu.msr.tsc();
  const x87 = x87Of(machine);
  if (how === "init") {
    apic.attention = attention.init;
    cpu.run(0);
  } else {
    cpu.reset();
  }
  return { cpu, tscWentOn: cpu.msr.tsc() > tsc, x87, x87After: x87Of(machine) };
}

function x87Of({ cpu }: TestMachine): Uint8Array {
  return cpu.bytes.slice(state.x87, state.x87 + x87StateBytes);
}

/** Pi in the significand of a register. */
const pi = [0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9];
const holdsPi = (bytes: Uint8Array) => Buffer.from(bytes).includes(Buffer.from(pi));

assemblyTest("INIT keeps x87, XMM, MXCSR, cache control, PAT and TSC, and resets the rest", () => {
  const { cpu, tscWentOn, x87, x87After } = afterInit("init");
  assert.equal(cpu.u64(state.xmm + 3 * 16), 0x1234_5678_9abc_def0n);
  assert.equal(cpu.u32(state.mxcsr), 0x1f00);
  assert.ok(holdsPi(x87));
  assert.deepEqual(x87After, x87);
  assert.equal(cpu.u64(state.pat), 0x0606_0606_0606_0606n);
  assert.equal(cpu.msr.sysenter.cs, 0x10);
  assert.ok(tscWentOn);
  assert.equal(cpu.cr0, 0x10, "CD and NW stay as they were, clear");
  assert.equal(cpu.rip, 0xfff0n);
  assert.equal(cpu.gpr(0), 0n);
  assert.equal(cpu.u64(state.efer), 0n);
  assert.equal(cpu.u64(state.cr4), 0n);
});

assemblyTest("power-on clears them all", () => {
  const { cpu, x87, x87After } = afterInit("power-on");
  assert.ok(holdsPi(x87) && !holdsPi(x87After));
  assert.equal(cpu.u64(state.xmm + 3 * 16), 0n);
  assert.equal(cpu.u32(state.mxcsr), 0x1f80);
  assert.equal(cpu.u64(state.pat), 0x0007_0406_0007_0406n);
  assert.equal(cpu.msr.sysenter.cs, 0);
  assert.equal(cpu.cr0, 0x6000_0010);
});
