/** Instructions behind VEX that are no expressions: moves under a mask, gathers, zeros (SDM 2). */
import type { Instruction } from "../decoder/instruction.ts";
import { state } from "../layout.ts";
import { requireAvx } from "./fpu.ts";
import type { Helper } from "./helpers.ts";
import { operandOf } from "./operands.ts";
import type { Processor } from "./processor.ts";
import { isWide, readRegister, writeRegister } from "./simd-operands.ts";

function registerNumber(instruction: Instruction, index: number): number {
  const operand = operandOf(instruction, index);
  return operand.kind === "register" ? operand.number : 0;
}

const lengthOf = (instruction: Instruction) => isWide(instruction) ? 32 : 16;
const zeroBytes = () => new Uint8Array(32);

/** The lanes of `bytes` each whose sign the mask has set. */
function chosenLanes(mask: DataView, bytes: number, total: number): number[] {
  const lanes = Array.from({ length: total / bytes }, (_, lane) => lane);
  return lanes.filter((lane) => (mask.getUint8(lane * bytes + bytes - 1) & 0x80) !== 0);
}

/** Linear address of a lane, which alone must lie in its segment. */
function laneAddress(
  cpu: Processor, instruction: Instruction, lane: number, bytes: number, write: boolean,
): bigint {
  const offset = BigInt.asUintN(instruction.addressWidth,
    cpu.offsetOf(instruction) + BigInt(lane * bytes));
  return cpu.linearAt(instruction.segment, offset, bytes, write);
}

function maskedLoad(bytes: 4 | 8): Helper {
  return (cpu, instruction) => {
    requireAvx(cpu);
    const length = lengthOf(instruction);
    const result = zeroBytes();
    const mask = readRegister(cpu, registerNumber(instruction, 1));
    for (const lane of chosenLanes(mask, bytes, length)) {
      const linear = laneAddress(cpu, instruction, lane, bytes, false);
      result.set(cpu.readBytes(linear, bytes), lane * bytes);
    }
    writeRegister(cpu, registerNumber(instruction, 0), new DataView(result.buffer), 256);
  };
}

function maskedStore(bytes: 4 | 8): Helper {
  return (cpu, instruction) => {
    requireAvx(cpu);
    const source = readRegister(cpu, registerNumber(instruction, 2));
    const mask = readRegister(cpu, registerNumber(instruction, 1));
    const places = chosenLanes(mask, bytes, lengthOf(instruction)).map((lane) => {
      const linear = laneAddress(cpu, instruction, lane, bytes, true);
      cpu.access.probeWrite(linear, bytes);
      return { linear, from: lane * bytes };
    });
    for (const { linear, from } of places) {
      cpu.writeBytes(linear, new Uint8Array(source.buffer, from, bytes));
    }
  };
}

interface GatherShape {
  readonly indexBytes: 4 | 8;
  readonly bytes: 4 | 8;
}

/** What a gather works on, copied; a fault leaves what was done until then. */
interface Gather extends GatherShape {
  readonly target: DataView;
  readonly mask: DataView;
  readonly index: DataView;
  readonly lanes: number;
}

function gatherLane(cpu: Processor, instruction: Instruction, gather: Gather, lane: number): void {
  const { bytes, indexBytes, index, target } = gather;
  const number = indexBytes === 4 ? BigInt(index.getInt32(lane * 4, true))
    : index.getBigInt64(lane * 8, true);
  const scale = BigInt(instruction.memory?.scale ?? 0);
  const offset = BigInt.asUintN(instruction.addressWidth,
    cpu.offsetOf(instruction) + (number << scale));
  const value = cpu.readBytes(cpu.linearAt(instruction.segment, offset, bytes, false), bytes);
  new Uint8Array(target.buffer).set(value, lane * bytes);
}

/** Lanes are taken from the lowest on, and each one done leaves the mask. */
function gather(shape: GatherShape): Helper {
  return (cpu, instruction) => {
    requireAvx(cpu);
    const target = registerNumber(instruction, 0), mask = registerNumber(instruction, 2);
    const index = instruction.memory?.index ?? 0;
    const length = instruction.row.long === true ? 32 : 16;
    const work: Gather = {
      ...shape, target: readRegister(cpu, target), mask: readRegister(cpu, mask),
      index: readRegister(cpu, index), lanes: length / Math.max(shape.bytes, shape.indexBytes),
    };
    const total = work.lanes * shape.bytes;
    try {
      const chosen = new Set(chosenLanes(work.mask, shape.bytes, total));
      for (let lane = 0; lane < work.lanes; lane += 1) {
        if (chosen.has(lane)) {
          gatherLane(cpu, instruction, work, lane);
        }
        new Uint8Array(work.mask.buffer).fill(0, lane * shape.bytes, (lane + 1) * shape.bytes);
      }
    } catch (fault) {
      writeRegister(cpu, target, work.target, 256);
      writeRegister(cpu, mask, work.mask, 256);
      throw fault;
    }
    writeRegister(cpu, target, work.target, total * 8);
    writeRegister(cpu, mask, work.mask, 0);
  };
}

function zeroUpper(cpu: Processor): void {
  requireAvx(cpu);
  const end = state.ymmHigh + (cpu.is64Bit ? 16 : 8) * 16;
  cpu.bytes.fill(0, state.ymmHigh, end);
}

function zeroAll(cpu: Processor): void {
  zeroUpper(cpu);
  cpu.bytes.fill(0, state.xmm, state.xmm + (cpu.is64Bit ? 16 : 8) * 16);
}

const masked = ([["maskmovps", 4], ["maskmovpd", 8], ["pmaskmovd", 4], ["pmaskmovq", 8]] as const)
  .flatMap(([name, bytes]): [string, Helper][] => [
    [`v${name}`, maskedLoad(bytes)], [`v${name}.store`, maskedStore(bytes)],
  ]);

const sizes = { d: 4, q: 8, ps: 4, pd: 8 } as const;
const gathers = (["d", "q"] as const).flatMap((index) =>
  (["d", "q", "ps", "pd"] as const).map((element): [string, Helper] => {
    const name = element.length === 1 ? `vpgather${index}${element}` : `vgather${index}${element}`;
    return [name, gather({ indexBytes: sizes[index], bytes: sizes[element] })];
  }));

export const avxHelpers: readonly (readonly [string, Helper])[] = [
  ...masked, ...gathers, ["vzeroupper", zeroUpper], ["vzeroall", zeroAll],
];
