/** Runs single vector instructions at CPL 0 in long mode. */
import { registers, state } from "../../../src/cpu/layout.ts";
import { allFeatures } from "../../../src/cpu/system/features.ts";
import { enterLongMode, setGate, testMachine } from "../system/machine-code.ts";

const codeAt = 0x8000, gates = 0x9000, hlt = 0xf4;
/** Where tests put memory operands; a multiple of 16. */
export const dataAt = 0xa000;
export const dataBytes = 1024;
export const noFault = -1;

const machine = testMachine({ features: allFeatures });

export interface Setup {
  readonly xmm?: Readonly<Record<number, readonly [low: bigint, high: bigint]>>;
  /** Bits 255:128 of the vector registers. */
  readonly upper?: Readonly<Record<number, readonly [low: bigint, high: bigint]>>;
  readonly xcr0?: number;
  readonly gpr?: Readonly<Record<number, bigint>>;
  readonly mxcsr?: number;
  readonly cr0?: bigint;
  readonly cr4?: bigint;
  readonly data?: readonly number[];
}

export interface Outcome {
  /** Vector of the exception, or `noFault`. */
  readonly vector: number;
  readonly mxcsr: number;
  readonly flags: number;
  xmm(number: number): [low: bigint, high: bigint];
  upper(number: number): [low: bigint, high: bigint];
  gpr(number: number): bigint;
  readonly memory: Uint8Array;
  readonly x87: DataView;
}

/** Runs `code`; RSI points to `dataAt`. */
export function execute(code: readonly number[], setup: Setup = {}): Outcome {
  const { cpu, ram } = machine;
  cpu.reset();
  enterLongMode(machine);
  ram.fill(hlt, gates, gates + 256);
  for (let vector = 0; vector < 32; vector += 1) {
    setGate(machine, vector, gates + vector);
  }
  ram.set([...code, hlt], codeAt);
  ram.fill(0, dataAt, dataAt + dataBytes);
  ram.set(setup.data ?? [], dataAt);
  cpu.setGpr(4, 0xe000n);
  cpu.setGpr(6, BigInt(dataAt));
  for (const [number, value] of Object.entries(setup.gpr ?? {})) {
    cpu.setGpr(Number(number), value);
  }
  for (const [number, halves] of Object.entries(setup.xmm ?? {})) {
    halves.forEach((half, index) => cpu.setU64(state.xmm + Number(number) * 16 + index * 8, half));
  }
  for (const [number, halves] of Object.entries(setup.upper ?? {})) {
    halves.forEach((half, index) =>
      cpu.setU64(state.ymmHigh + Number(number) * 16 + index * 8, half));
  }
  cpu.msr.xcr0 = setup.xcr0 ?? 1;
  cpu.setU32(state.mxcsr, setup.mxcsr ?? 0x1f80);
  cpu.setU64(state.cr0, cpu.u64(state.cr0) | (setup.cr0 ?? 0n));
  cpu.setU64(state.cr4, setup.cr4 ?? cpu.u64(state.cr4));
  cpu.rip = BigInt(codeAt);
  cpu.sync();
  cpu.code.flush();
  cpu.run(1000);
  const at = Number(cpu.rip) - 1 - gates;
  return {
    vector: at >= 0 && at < 256 ? at : noFault,
    mxcsr: cpu.u32(state.mxcsr), flags: cpu.flags,
    xmm: (number) => [cpu.u64(state.xmm + number * 16), cpu.u64(state.xmm + number * 16 + 8)],
    upper: (number) =>
      [cpu.u64(state.ymmHigh + number * 16), cpu.u64(state.ymmHigh + number * 16 + 8)],
    gpr: (number) => cpu.u64(registers + number * 8),
    memory: ram.slice(dataAt, dataAt + dataBytes),
    x87: new DataView(cpu.bytes.buffer, state.x87, 160),
  };
}

const lane = new DataView(new ArrayBuffer(8));

export function doubleBits(value: number): bigint {
  lane.setFloat64(0, value);
  return lane.getBigUint64(0);
}
