/** Instructions behind VEX: what forbids them, alignment, upper halves, masks; and AVX state in
 * XSAVE, XCR0 and CPUID. What they compute is compared with the host's processor elsewhere. */
import { state, vector } from "../../../src/cpu/layout.ts";
import { cpuidLeaf } from "../../../src/cpu/system/cpuid.ts";
import { cpuLevels } from "../../../src/config/cpu-model.ts";
import { allFeatures } from "../../../src/cpu/system/features.ts";
import { assert, test } from "../../support/harness.ts";
import { testMachine } from "../system/machine-code.ts";
import { dataAt, execute, noFault, type Outcome, type Setup } from "./simd-machine.ts";

const vpaddd = [0xc5, 0xf9, 0xfe, 0xc1]; // VPADDD xmm0, xmm0, xmm1
const paddd = [0x66, 0x0f, 0xfe, 0xc1]; // PADDD xmm0, xmm1
const andn = [0xc4, 0xe2, 0x78, 0xf2, 0xc1]; // ANDN eax, eax, ecx
const vzeroupper = [0xc5, 0xf8, 0x77], vzeroall = [0xc5, 0xfc, 0x77];
const osxsave = 0x4_0620n;
const enabled: Setup = { cr4: osxsave, xcr0: 7 };
const noise = (seed: bigint): [bigint, bigint] => [0x0123_4567_89abn * seed,
  0xfedc_ba98_7654_3210n ^ seed];
const zeros: [bigint, bigint] = [0n, 0n];

test("AVX needs CR4.OSXSAVE, SSE and AVX in XCR0, and a clear CR0.TS", () => {
  assert.equal(execute(vpaddd, enabled).vector, noFault);
  assert.equal(execute(vpaddd, { xcr0: 7 }).vector, vector.ud);
  assert.equal(execute(vpaddd, { cr4: osxsave, xcr0: 3 }).vector, vector.ud);
  assert.equal(execute(vpaddd, { ...enabled, cr0: 8n }).vector, vector.nm);
  assert.equal(execute(vpaddd, { cr4: osxsave, cr0: 8n, xcr0: 1 }).vector, vector.ud);
  // CR0.EM and CR4.OSFXSR are nothing to it; and general registers need none of this.
  assert.equal(execute(vpaddd, { cr4: 0x4_0020n, cr0: 4n, xcr0: 7 }).vector, noFault);
  assert.equal(execute(andn).vector, noFault);
  for (const helper of [vzeroupper, [0xc5, 0xf8, 0x53, 0xc1], [0xc4, 0xe2, 0x75, 0x2c, 0x06]]) {
    assert.equal(execute(helper).vector, vector.ud);
    assert.equal(execute(helper, enabled).vector, noFault);
  }
});

test("nothing stands in front of VEX but segments and address sizes", () => {
  for (const prefix of [0x66, 0xf2, 0xf3, 0xf0, 0x40, 0x48]) {
    assert.equal(execute([prefix, ...vpaddd], enabled).vector, vector.ud);
    assert.equal(execute([prefix, ...andn], enabled).vector, vector.ud);
  }
  for (const prefix of [0x2e, 0x64, 0x67]) {
    assert.equal(execute([prefix, ...vpaddd], enabled).vector, noFault);
  }
  // VPSHUFD with a register in vvvv; VPMOVSXBW from map 4; ANDN of 256 bits.
  assert.equal(execute([0xc5, 0xf1, 0x70, 0xc1, 0], enabled).vector, vector.ud);
  assert.equal(execute([0xc4, 0xe4, 0x79, 0x20, 0xc1], enabled).vector, vector.ud);
  assert.equal(execute([0xc4, 0xe2, 0x7c, 0xf2, 0xc1], enabled).vector, vector.ud);
});

const realMachine = testMachine({ features: allFeatures });

/** Runs 16-bit code at address 8000h: the vector that it meets, from a table of HLTs. */
function inRealMode(code: readonly number[], protectedToo: boolean): number {
  const { cpu, ram, view } = realMachine;
  cpu.reset();
  for (let number = 0; number < 32; number += 1) {
    view.setUint32(number * 4, 0x9000 + number, true);
    ram[0x9000 + number] = 0xf4;
  }
  ram.set([...code, 0xf4], 0x8000);
  cpu.setSegment(1, { selector: 0, base: 0n, limit: 0xffff, attributes: 0x9b });
  cpu.setU64(state.cr0, BigInt(cpu.cr0 | (protectedToo ? 1 : 0)));
  cpu.setU64(state.cr4, osxsave & ~0x20n);
  cpu.msr.xcr0 = 7;
  cpu.setGpr(4, 0x7000n);
  cpu.rip = 0x8000n;
  cpu.sync();
  cpu.run(100);
  return Number(cpu.rip) > 0x9000 ? Number(cpu.rip) - 0x9001 : noFault;
}

test("there is no VEX in real mode; 16-bit code of protected mode has it, and LDS, too", () => {
  for (const code of [vpaddd, andn, [0xc5, 0xf9, 0xfe, 0x07]]) {
    assert.equal(inRealMode(code, false), vector.ud);
    assert.equal(inRealMode(code, true), noFault);
  }
  // LDS ax, [bx]: the second byte has a memory operand.
  assert.equal(inRealMode([0xc5, 0x07], false), noFault);
});

const registerState: Setup = {
  ...enabled, xmm: { 0: noise(3n), 1: noise(5n) }, upper: { 0: noise(7n), 1: noise(11n) },
};

test("VEX clears what lies above its result, SSE leaves it alone", () => {
  assert.deepEqual(execute(paddd, registerState).upper(0), noise(7n));
  assert.deepEqual(execute(vpaddd, registerState).upper(0), zeros);
  // VADDSS xmm0, xmm0, xmm1; VMOVQ xmm0, xmm1; VMOVD xmm0, eax
  for (const code of [[0xc5, 0xfa, 0x58, 0xc1], [0xc5, 0xfa, 0x7e, 0xc1],
    [0xc5, 0xf9, 0x6e, 0xc0]]) {
    assert.deepEqual(execute(code, registerState).upper(0), zeros);
    assert.deepEqual(execute(code, registerState).upper(1), noise(11n));
  }
  const upper = execute(vzeroupper, registerState);
  assert.deepEqual([upper.xmm(1), upper.upper(0), upper.upper(1)], [noise(5n), zeros, zeros]);
  const all = execute(vzeroall, registerState);
  assert.deepEqual([all.xmm(1), all.upper(1)], [zeros, zeros]);
});

test("memory operands stand anywhere, but for VMOVAPS and its kin", () => {
  const at = (offset: number): Setup => ({ ...enabled, gpr: { 6: BigInt(dataAt + offset) } });
  assert.equal(execute([0xc5, 0xf9, 0xfe, 0x06], at(1)).vector, noFault); // VPADDD
  assert.equal(execute([0xc5, 0xf4, 0x5e, 0x06], at(3)).vector, noFault); // VDIVPS ymm
  assert.equal(execute([0xc5, 0xfc, 0x28, 0x06], at(16)).vector, vector.gp); // VMOVAPS ymm
  assert.equal(execute([0xc5, 0xfc, 0x28, 0x06], at(32)).vector, noFault);
  assert.equal(execute([0xc5, 0xf8, 0x28, 0x06], at(16)).vector, noFault);
  assert.equal(execute([0xc5, 0xf8, 0x29, 0x06], at(8)).vector, vector.gp);
  assert.equal(execute([0xc5, 0xfd, 0xe7, 0x06], at(16)).vector, vector.gp); // VMOVNTDQ
});

test("a masked move touches only what its mask has", () => {
  // VPMASKMOVD xmm0, xmm1, [rsi], at the end of the canonical addresses.
  const load = [0xc4, 0xe2, 0x71, 0x8c, 0x06], store = [0xc4, 0xe2, 0x71, 0x8e, 0x06];
  const edge = 0x8000_0000_0000n - 4n;
  const none: Setup = { ...enabled, xmm: { 1: zeros }, gpr: { 6: edge } };
  const second: Setup = { ...none, xmm: { 1: [0x8000_0000_0000_0000n, 0n] } };
  assert.equal(execute(load, none).vector, noFault);
  assert.equal(execute(store, none).vector, noFault);
  assert.equal(execute(load, second).vector, vector.gp);
  assert.equal(execute(store, second).vector, vector.gp);
  const place: Setup = { ...second, gpr: { 6: BigInt(dataAt) }, data: [1, 2, 3, 4, 5, 6, 7, 8] };
  assert.deepEqual(execute(load, place).xmm(0), [0x0807_0605_0000_0000n, 0n]);
});

/** MOV eax, parts; then the instruction on [rsi]. */
const withParts = (parts: number, code: readonly number[]) =>
  [0xb8, parts, 0, 0, 0, 0x31, 0xd2, ...code];
const xsave = [0x0f, 0xae, 0x26], xsaveopt = [0x0f, 0xae, 0x36], xsavec = [0x0f, 0xc7, 0x26];
const xrstor = [0x0f, 0xae, 0x2e];
const viewOf = ({ memory }: Outcome) => new DataView(memory.buffer, memory.byteOffset);
const headerAt = 512, layoutAt = 520, upperAt = 576;

test("XSAVE writes the upper halves where XCR0 and EAX have them", () => {
  const saved = viewOf(execute(withParts(7, xsave), registerState));
  assert.equal(saved.getBigUint64(headerAt, true), 7n);
  assert.equal(saved.getBigUint64(upperAt + 16, true), noise(11n)[0]);
  const without = viewOf(execute(withParts(3, xsave), registerState));
  assert.equal(without.getBigUint64(headerAt, true), 3n);
  assert.equal(without.getBigUint64(upperAt, true), 0n);
  const clear = viewOf(execute(withParts(7, xsaveopt), { ...registerState, upper: {},
    data: Array.from({ length: 1024 }, () => 0) }));
  assert.equal(clear.getBigUint64(headerAt, true), 3n);
  const compact = viewOf(execute(withParts(6, xsavec), registerState));
  assert.equal(compact.getBigUint64(headerAt, true), 6n);
  assert.equal(compact.getBigUint64(layoutAt, true), 1n << 63n | 6n);
  assert.equal(compact.getBigUint64(upperAt, true), noise(7n)[0]);
});

test("XRSTOR loads the upper halves, from either form, or clears them", () => {
  const image = (held: bigint, layout: bigint) => {
    const view = new DataView(new ArrayBuffer(832));
    view.setUint32(24, 0x1f80, true);
    view.setBigUint64(headerAt, held, true);
    view.setBigUint64(layoutAt, layout, true);
    view.setBigUint64(upperAt, 42n, true);
    return { ...registerState, data: [...new Uint8Array(view.buffer)] };
  };
  const restore = (held: bigint, layout = 0n) =>
    execute(withParts(7, xrstor), image(held, layout));
  assert.deepEqual(restore(7n).upper(0), [42n, 0n]);
  assert.deepEqual(restore(3n).upper(0), zeros);
  assert.deepEqual(restore(4n, 1n << 63n | 7n).upper(0), [42n, 0n]);
  assert.equal(restore(7n, 1n << 63n | 3n).vector, vector.gp);
  assert.equal(restore(8n).vector, vector.gp);
  assert.equal(restore(7n, 1n).vector, vector.gp);
});

test("XCR0 takes AVX only with SSE, and only what there is", () => {
  const set = (value: number) => execute([0x31, 0xc9, 0x31, 0xd2, 0xb8, value, 0, 0, 0,
    0x0f, 0x01, 0xd1, ...vpaddd], { cr4: osxsave });
  assert.equal(set(7).vector, noFault);
  assert.equal(set(3).vector, vector.ud);
  for (const wrong of [0, 2, 4, 5, 6, 8, 15]) {
    assert.equal(set(wrong).vector, vector.gp);
  }
});

test("CPUID tells sizes and places of AVX state", () => {
  const context = { apicId: 0, cpus: 1, osxsave: true, apicEnabled: true, features: allFeatures,
    xcr0: 3 };
  assert.deepEqual(cpuidLeaf(0xd, 0, context), [7, 576, 832, 0]);
  assert.deepEqual(cpuidLeaf(0xd, 0, { ...context, xcr0: 7 }), [7, 832, 832, 0]);
  assert.deepEqual(cpuidLeaf(0xd, 1, { ...context, xcr0: 7 }), [7, 832, 0, 0]);
  assert.deepEqual(cpuidLeaf(0xd, 2, context), [256, 576, 0, 0]);
  const second = { ...context, features: new Set<string>(cpuLevels["x86-64-v2"]) };
  assert.deepEqual(cpuidLeaf(0xd, 0, second), [3, 576, 576, 0]);
  assert.deepEqual(cpuidLeaf(0xd, 2, second), [0, 0, 0, 0]);
  const [, , ecx] = cpuidLeaf(1, 0, context), [, ebx] = cpuidLeaf(7, 0, context);
  const [, , extended] = cpuidLeaf(0x8000_0001, 0, context);
  assert.equal(ecx & 0x1840_0000, 0x1840_0000); // OSXSAVE, AVX, MOVBE.
  assert.equal(ebx & 0x8_0128, 0x8_0128); // BMI1, AVX2, BMI2, ADX.
  assert.equal(extended & 0x20, 0x20); // LZCNT.
});
