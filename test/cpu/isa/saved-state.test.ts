/** FXSAVE, FXRSTOR, XSAVE and XRSTOR: images, alignment, what is checked (SDM 1 §10.5, §13). */
import { vector } from "../../../src/cpu/layout.ts";
import { assert, test } from "../../support/harness.ts";
import { dataAt, execute, noFault, type Outcome, type Setup } from "./simd-machine.ts";

const fxsave = [0x0f, 0xae, 0x06], fxrstor = [0x0f, 0xae, 0x0e];
const xsave = [0x0f, 0xae, 0x26], xrstor = [0x0f, 0xae, 0x2e];
const fld1 = [0xd9, 0xe8], fninit = [0xdb, 0xe3];
const withOsxsave = 0x4_0620n;
const xmm5: Setup["xmm"] = { 5: [0x1122_3344_5566_7788n, 0x99aa_bbcc_ddee_ff00n] };
const headerAt = 512;

/** MOV ecx, 0; MOV edx, 0; MOV eax, 3; XSETBV; then EAX holds `parts`. */
const enable = (parts: number) => [0xb9, 0, 0, 0, 0, 0xba, 0, 0, 0, 0, 0xb8, 3, 0, 0, 0, 0x0f, 0x01,
  0xd1, 0xb8, parts, 0, 0, 0];

const viewOf = ({ memory }: Outcome) => new DataView(memory.buffer, memory.byteOffset);

function image(change: (view: DataView) => void): number[] {
  const view = new DataView(new ArrayBuffer(640));
  view.setUint16(0, 0x037f, true);
  view.setUint32(24, 0x1f80, true);
  change(view);
  return [...new Uint8Array(view.buffer)];
}

test("FXSAVE writes x87, MXCSR with its mask, and the XMM registers", () => {
  const outcome = execute([...fninit, ...fld1, ...fxsave], { xmm: xmm5, mxcsr: 0x1fa0 });
  const view = viewOf(outcome);
  assert.equal(outcome.vector, noFault);
  assert.equal(view.getUint16(0, true), 0x037f);
  assert.equal(view.getUint16(2, true), 7 << 11);
  assert.equal(view.getUint8(4), 0x80);
  assert.equal(view.getUint32(24, true), 0x1fa0);
  assert.equal(view.getUint32(28, true), 0xffff);
  assert.equal(view.getBigUint64(32, true), 1n << 63n);
  assert.equal(view.getUint16(40, true), 0x3fff);
  assert.equal(view.getBigUint64(160 + 5 * 16, true), 0x1122_3344_5566_7788n);
  assert.equal(view.getBigUint64(168 + 5 * 16, true), 0x99aa_bbcc_ddee_ff00n);
});

test("FXRSTOR loads the image, and refuses reserved bits of MXCSR", () => {
  const data = image((view) => {
    view.setUint16(2, 3 << 11, true);
    view.setUint32(24, 0x1fbf, true);
    view.setBigUint64(160 + 15 * 16, 0xabcdn, true);
  });
  const outcome = execute(fxrstor, { data });
  assert.equal(outcome.vector, noFault);
  assert.equal(outcome.mxcsr, 0x1fbf);
  assert.equal(outcome.x87.getUint16(2, true), 3 << 11);
  assert.deepEqual(outcome.xmm(15), [0xabcdn, 0n]);
  const bad = image((view) => view.setUint32(24, 0x1_1f80, true));
  assert.equal(execute(fxrstor, { data: bad }).vector, vector.gp);
});

test("images stand at multiples of 16, those of XSAVE at multiples of 64", () => {
  assert.equal(execute(fxsave, { gpr: { 6: BigInt(dataAt + 8) } }).vector, vector.gp);
  const at = (offset: number): Setup => ({ cr4: withOsxsave, gpr: { 6: BigInt(dataAt + offset) } });
  assert.equal(execute([...enable(3), ...xsave], at(16)).vector, vector.gp);
  assert.equal(execute([...enable(3), ...xsave], at(64)).vector, noFault);
});

test("XSAVE needs CR4.OSXSAVE and a clear CR0.TS", () => {
  assert.equal(execute(xsave).vector, vector.ud);
  assert.equal(execute(xsave, { cr4: withOsxsave, cr0: 8n }).vector, vector.nm);
});

test("XSAVE writes the components asked for and notes them", () => {
  const before = image((view) => {
    view.setBigUint64(160, 0x77n, true);
    view.setBigUint64(headerAt, 2n, true);
  });
  const setup: Setup = { cr4: withOsxsave, xmm: xmm5, data: before };
  const x87Only = viewOf(execute([...enable(1), ...xsave], setup));
  assert.equal(x87Only.getBigUint64(headerAt, true), 3n);
  assert.equal(x87Only.getBigUint64(160, true), 0x77n);
  const both = viewOf(execute([...enable(3), ...xsave], setup));
  assert.equal(both.getBigUint64(headerAt, true), 3n);
  assert.equal(both.getBigUint64(160, true), 0n);
  assert.equal(both.getBigUint64(160 + 5 * 16, true), 0x1122_3344_5566_7788n);
});

test("XRSTOR initialises what the image does not hold", () => {
  const data = image((view) => view.setBigUint64(headerAt, 1n, true));
  const outcome = execute([...enable(3), ...xrstor], { cr4: withOsxsave, xmm: xmm5, data });
  assert.equal(outcome.vector, noFault);
  assert.deepEqual(outcome.xmm(5), [0n, 0n]);
});

test("XRSTOR refuses unknown components and layouts", () => {
  const load = (data: number[]) => execute([...enable(3), ...xrstor], { cr4: withOsxsave, data });
  assert.equal(load(image((view) => view.setBigUint64(headerAt, 7n, true))).vector, vector.gp);
  assert.equal(load(image((view) => view.setBigUint64(headerAt + 8, 1n << 63n | 8n, true))).vector,
    vector.gp);
  assert.equal(load(image((view) => view.setBigUint64(headerAt + 16, 1n, true))).vector, vector.gp);
  assert.equal(load(image((view) => view.setBigUint64(headerAt + 24, 1n, true))).vector, noFault);
});

test("the x87 after power-on has all exceptions unmasked and all registers zero", () => {
  const view = viewOf(execute(fxsave));
  assert.equal(view.getUint16(0, true), 0x40);
  assert.equal(view.getUint16(2, true), 0);
  assert.equal(view.getUint8(4), 0xff);
  assert.equal(view.getUint32(24, true), 0x1f80);
});
