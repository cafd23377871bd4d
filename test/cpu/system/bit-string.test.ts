/** Bit strings: BT and its kin reach beyond their operand by a register (SDM 2, BT). What they
 * reach is checked against the segment, and wraps as any address does. */
import { segmentIndex, state, vector } from "../../../src/cpu/layout.ts";
import { assert } from "../../support/harness.ts";
import { assemble, assemblyTest } from "../../support/nasm.ts";
import { enterLongMode, freshMachine, type TestMachine } from "./machine-code.ts";

const codeAt = 0x8000, handlerAt = 0x9000;
const flatCode = { selector: 8, base: 0n, limit: 0xffff_ffff, attributes: 0xc09b };

/** Real mode, with a HLT behind every vector: the handler's CS is vector << 4. */
function realMode(): TestMachine {
  const machine = freshMachine();
  const { cpu, view, ram } = machine;
  for (let number = 0; number < 32; number += 1) {
    view.setUint32(number * 4, ((0xf000 + number * 16) << 16 | 0) >>> 0, true);
    ram[0xf_0000 + number * 256] = 0xf4;
  }
  for (const index of [0, 1, 2, 3, 4, 5]) {
    cpu.setSegment(index, {
      selector: 0, base: 0n, limit: 0xffff, attributes: index === 1 ? 0x9b : 0x93,
    });
  }
  cpu.setGpr(4, 0x7000n);
  cpu.rip = BigInt(codeAt);
  cpu.sync();
  return machine;
}

/** Runs assembly of real mode; the vector of the exception that ended it, or undefined. */
function run(machine: TestMachine, text: string): number | undefined {
  const { cpu, ram } = machine;
  ram.set(assemble(`${text}\nhlt`, { bits: 16, origin: codeAt }), codeAt);
  assert.equal(cpu.run(1000), "halt");
  const { selector } = cpu.segment(segmentIndex.cs);
  return selector === 0 ? undefined : (selector - 0xf000) / 16;
}

assemblyTest("a bit offset wraps at 64 KiB with 16-bit addresses", () => {
  const machine = realMode();
  assert.equal(run(machine, `
    mov bx, 0xfffe
    mov ax, 16 + 3               ; the word behind FFFE is at 0000
    bts [bx], ax
    mov bx, 0x0002
    mov cx, -32 + 5              ; and the one before 0002, twice, at FFFE
    bts [bx], cx
  `), undefined);
  assert.equal(machine.view.getUint16(0x1_0000, true), 0, "not behind the segment");
  assert.equal(machine.view.getUint16(0, true) & 8, 8);
  assert.equal(machine.view.getUint16(0xfffe, true), 1 << 5);
});

assemblyTest("the far word is checked against the limit, and all stays when it is out", () => {
  const machine = realMode();
  const { cpu, view } = machine;
  cpu.setSegment(segmentIndex.es, { selector: 0, base: 0n, limit: 0x10ff, attributes: 0x93 });
  assert.equal(run(machine, `
    mov bx, 0x1000
    mov ax, 0x100 * 8 - 1        ; the last bit below the limit
    bts [es:bx], ax
    mov ax, 0x100 * 8            ; the first one above it
    stc
    btr [es:bx], ax
  `), vector.gp);
  assert.equal(view.getUint16(0x10fe, true), 0x8000);
  assert.equal(cpu.flags & 1, 1, "CF is as it was");
  const below = realMode();
  below.cpu.setSegment(segmentIndex.ss, {
    selector: 0, base: 0n, limit: 0xffff, attributes: 0x93,
  });
  assert.equal(run(below, `
    mov bp, 0xffff               ; the operand itself would be out of the limit
    mov ax, -16
    bts [bp], ax                 ; the one that is meant is not
  `), undefined);
  assert.equal(below.view.getUint16(0xfffd, true), 1);
});

assemblyTest("with 32-bit addresses the offset wraps before the base of FS is added", () => {
  const machine = freshMachine();
  enterLongMode(machine);
  const { cpu, ram } = machine;
  cpu.setSegmentBase(segmentIndex.fs, 0x9000n);
  ram.set(assemble(`
    mov ebx, 0xfffffffc
    mov eax, 32 + 7
    bts [fs:ebx], eax            ; FFFFFFFC + 4 is 0 at 32 bits
    hlt
  `, { bits: 64, origin: codeAt }), codeAt);
  cpu.rip = BigInt(codeAt);
  assert.equal(cpu.run(100), "halt");
  assert.equal(machine.view.getUint32(0x9000, true), 1 << 7);
});

assemblyTest("in 32-bit code a segment's base and limit hold for the far dword", () => {
  const machine = freshMachine();
  enterLongMode(machine);
  const { cpu, ram, view } = machine;
  cpu.setU64(state.efer, 0n);
  cpu.setU64(state.cr0, 0x11n);
  cpu.setSegment(segmentIndex.cs, flatCode);
  cpu.setSegment(segmentIndex.es,
    { selector: 16, base: 0xa000n, limit: 0x100, attributes: 0x4093 });
  cpu.flushTlb();
  cpu.sync();
  view.setUint32(0x4000 + vector.gp * 8, 0x0008_0000 | handlerAt, true);
  view.setUint32(0x4000 + vector.gp * 8 + 4, 0x8e00, true);
  cpu.setU32(state.idtrLimit, 0x7ff);
  view.setBigUint64(0x3008, 0x00cf_9b00_0000_ffffn, true);
  ram[handlerAt] = 0xf4;
  ram.set(assemble(`
    xor ebx, ebx
    mov eax, 0xfc * 8 + 1
    lock bts [es:ebx], eax
    mov eax, 0x100 * 8
    bts [es:ebx], eax            ; four bytes at 100 end behind the limit
    hlt
  `, { bits: 32, origin: codeAt }), codeAt);
  cpu.rip = BigInt(codeAt);
  assert.equal(cpu.run(100), "halt");
  assert.equal(view.getUint32(0xa0fc, true), 2);
  assert.equal(Number(cpu.rip), handlerAt + 1);
});
