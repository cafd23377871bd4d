/** A processor with RAM and nothing else, in long mode with everything mapped to itself. */
import type { ProcessorOptions } from "../../../src/cpu/system/options.ts";
import { Processor } from "../../../src/cpu/system/processor.ts";
import { segmentIndex, state } from "../../../src/cpu/layout.ts";

const pml4 = 0x1000, pdpt = 0x2000;
export const gdtBase = 0x3000, idtBase = 0x4000, tssBase = 0x5000;
const mapped = 0x83n; // Present, writable, large.
const user = 4n;

export interface TestMachine {
  readonly cpu: Processor;
  readonly ram: Uint8Array;
  readonly view: DataView;
  /** What reached the bus: port or address, size, value (undefined for reads). */
  readonly accesses: { at: number; size: number; value: number | undefined }[];
}

export function testMachine(options: Partial<ProcessorOptions> = {}): TestMachine {
  const accesses: TestMachine["accesses"] = [];
  const note = (at: number, size: number, value?: number) => {
    accesses.push({ at, size, value });
    accesses.length = Math.min(accesses.length, 1000);
  };
  const ones = (size: number) => size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
  let ns = 0;
  const cpu = new Processor({
    ramBytes: 1 << 20,
    now: () => { ns += 1000; return ns; },
    entropy: (target) => { target.fill(0x5a); },
    bus: {
      portRead: (port, size) => { note(port, size); return ones(size); },
      portWrite: (port, size, value) => note(port, size, value),
      mmioRead: (address, size) => { note(address, size); return ones(size); },
      mmioWrite: (address, size, value) => note(address, size, value),
    },
    ...options,
  });
  const ram = cpu.bytes.subarray(cpu.map.ram, cpu.map.ram + cpu.map.ramBytes);
  return { cpu, ram, view: new DataView(ram.buffer, ram.byteOffset, ram.length), accesses };
}

let kept: TestMachine | undefined;

/** The same machine again, as from power-on and with clear RAM: making one takes a second. */
export function freshMachine(): TestMachine {
  kept ??= testMachine();
  kept.ram.fill(0);
  kept.cpu.reset();
  kept.accesses.length = 0;
  return kept;
}

/** Selectors of the descriptors that `enterLongMode` makes. */
export const selectors = { code64: 8, data: 16, code32: 24, user32: 0x23, userData: 0x2b,
  user64: 0x33, tss: 0x38 } as const;

const descriptors = [
  0n, 0x00af_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn, 0x00cf_9b00_0000_ffffn,
  0x00cf_fb00_0000_ffffn, 0x00cf_f300_0000_ffffn, 0x00af_fb00_0000_ffffn,
];

/** Long mode, CPL 0, four GiB mapped to themselves with user rights too. */
export function enterLongMode({ cpu, view }: TestMachine): void {
  view.setBigUint64(pml4, BigInt(pdpt) | 3n | user, true);
  for (let index = 0; index < 4; index += 1) {
    view.setBigUint64(pdpt + index * 8, BigInt(index) << 30n | mapped | user, true);
  }
  descriptors.forEach((value, index) => view.setBigUint64(gdtBase + index * 8, value, true));
  view.setBigUint64(gdtBase + selectors.tss, 0x0000_8900_0000_0067n | BigInt(tssBase) << 16n, true);
  view.setBigUint64(gdtBase + selectors.tss + 8, 0n, true);
  cpu.setU64(state.gdtrBase, BigInt(gdtBase));
  cpu.setU32(state.gdtrLimit, selectors.tss + 15);
  cpu.setU64(state.idtrBase, BigInt(idtBase));
  cpu.setU32(state.idtrLimit, 0xfff);
  cpu.setU64(state.cr3, BigInt(pml4));
  cpu.setU64(state.cr4, 0x620n); // PAE, OSFXSR, OSXMMEXCPT.
  cpu.setU64(state.efer, 0xd01n); // SCE, LME, LMA, NXE.
  cpu.setU64(state.cr0, 0x8001_0033n);
  cpu.setSegment(segmentIndex.cs, {
    selector: selectors.code64, base: 0n, limit: 0xffff_ffff, attributes: 0xa09b,
  });
  for (const index of [segmentIndex.ds, segmentIndex.es, segmentIndex.ss]) {
    cpu.setSegment(index, {
      selector: selectors.data, base: 0n, limit: 0xffff_ffff, attributes: 0xc093,
    });
  }
  cpu.setSegment(segmentIndex.tr, {
    selector: selectors.tss, base: BigInt(tssBase), limit: 0x67, attributes: 0x8b,
  });
  view.setBigUint64(tssBase + 4, 0xf000n, true); // RSP0
  cpu.flushTlb();
  cpu.sync();
}

/** A 64-bit interrupt gate. */
export function setGate({ view }: TestMachine, vector: number, target: number, dpl = 0): void {
  const at = idtBase + vector * 16;
  view.setUint32(at, (selectors.code64 << 16) | (target & 0xffff), true);
  view.setUint32(at + 4, ((target & 0xffff_0000) | 0x8e00 | (dpl << 13)) >>> 0, true);
  view.setUint32(at + 8, 0, true);
  view.setUint32(at + 12, 0, true);
}
