/**
 * The registers of the vCPU as helpers see them: typed access to the state that generated code
 * keeps in the shared memory (see ../layout.ts).
 */
import { arithmeticFlags, attribute, eferBits, eflags, registers, state } from "../layout.ts";

export interface SegmentState {
  selector: number;
  base: bigint;
  limit: number;
  attributes: number;
}

const none = { af: 8, signCorrection: 0x8000_0000, parityCorrection: 0x100 };

function hasEvenParity(byte: number): boolean {
  const nibbles = byte ^ (byte >>> 4);
  return ((0x6996 >>> (nibbles & 15)) & 1) === 0;
}

export class GuestState {
  readonly view: DataView;
  readonly bytes: Uint8Array;

  constructor(buffer: ArrayBufferLike) {
    this.view = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  gpr(number: number): bigint {
    return this.view.getBigUint64(registers + number * 8, true);
  }

  setGpr(number: number, value: bigint): void {
    this.view.setBigUint64(registers + number * 8, BigInt.asUintN(64, value), true);
  }

  /** The low half of a general register. */
  gpr32(number: number): number {
    return this.view.getUint32(registers + number * 8, true);
  }

  /** Writes 32 bits and clears the upper half, as 32-bit instructions do. */
  setGpr32(number: number, value: number): void {
    this.view.setUint32(registers + number * 8, value, true);
    this.view.setUint32(registers + number * 8 + 4, 0, true);
  }

  /** Writes the low 16, 32 or 64 bits as an instruction of that operand size does. */
  setGprSized(number: number, width: number, value: bigint): void {
    if (width === 64) {
      this.setGpr(number, value);
    } else if (width === 32) {
      this.setGpr32(number, Number(BigInt.asUintN(32, value)));
    } else {
      this.view.setUint16(registers + number * 8, Number(BigInt.asUintN(16, value)), true);
    }
  }

  gprSized(number: number, width: number): bigint {
    return BigInt.asUintN(width, this.gpr(number));
  }

  u32(offset: number): number {
    return this.view.getUint32(offset, true);
  }

  setU32(offset: number, value: number): void {
    this.view.setUint32(offset, value, true);
  }

  u64(offset: number): bigint {
    return this.view.getBigUint64(offset, true);
  }

  setU64(offset: number, value: bigint): void {
    this.view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  }

  get rip(): bigint {
    return this.u64(state.rip);
  }

  set rip(value: bigint) {
    this.setU64(state.rip, value);
  }

  get cpl(): number {
    return this.u32(state.cpl);
  }

  get cr0(): number {
    return this.u32(state.cr0);
  }

  get cr4(): number {
    return this.u32(state.cr4);
  }

  get efer(): number {
    return this.u32(state.efer);
  }

  /** IA-32e mode is active, 64-bit or compatibility. */
  get isLongMode(): boolean {
    return (this.efer & eferBits.lma) !== 0;
  }

  /** The code segment is one of 64 bits. */
  get is64Bit(): boolean {
    return this.isLongMode && (this.segmentAttributes(1) & attribute.long) !== 0;
  }

  get isProtected(): boolean {
    return (this.cr0 & 1) !== 0;
  }

  get isVirtual8086(): boolean {
    return (this.u32(state.systemFlags) & eflags.vm) !== 0;
  }

  /** RFLAGS; its upper half is zero. */
  get flags(): number {
    const { view } = this;
    const lo = view.getInt32(state.flagResult, true);
    const hi = view.getInt32(state.flagResult + 4, true);
    const carry = view.getInt32(state.flagCarry + 4, true);
    const aux = view.getInt32(state.flagAux, true);
    let flags = this.u32(state.systemFlags) | eflags.fixed;
    flags |= carry < 0 ? eflags.cf : 0;
    flags |= (carry ^ (carry << 1)) < 0 ? eflags.of : 0;
    flags |= (lo | hi) === 0 ? eflags.zf : 0;
    flags |= (hi ^ aux) < 0 ? eflags.sf : 0;
    flags |= (aux & none.af) !== 0 ? eflags.af : 0;
    flags |= hasEvenParity((lo ^ (aux >>> 8)) & 0xff) ? eflags.pf : 0;
    return flags >>> 0;
  }

  set flags(value: number) {
    const { view } = this;
    const zf = (value & eflags.zf) !== 0, pf = (value & eflags.pf) !== 0;
    const cf = (value & eflags.cf) !== 0, of = (value & eflags.of) !== 0;
    this.setU64(state.flagResult, zf ? 0n : 1n);
    view.setUint32(state.flagCarry, 0, true);
    view.setUint32(state.flagCarry + 4,
      ((cf ? 0x8000_0000 : 0) | (cf !== of ? 0x4000_0000 : 0)) >>> 0, true);
    const aux = ((value & eflags.sf) !== 0 ? none.signCorrection : 0)
      | ((value & eflags.af) !== 0 ? none.af : 0)
      // A stored 0 has even parity, a stored 1 odd parity.
      | (pf !== zf ? none.parityCorrection : 0);
    view.setUint32(state.flagAux, aux >>> 0, true);
    this.setU32(state.systemFlags, (value & ~arithmeticFlags & ~eflags.fixed) >>> 0);
  }

  // Segments, by index: es cs ss ds fs gs ldtr tr.

  selector(index: number): number {
    return this.u32(state.segmentSelector + index * 4);
  }

  segmentBase(index: number): bigint {
    return this.u64(state.segmentBase + index * 8);
  }

  setSegmentBase(index: number, base: bigint): void {
    this.setU64(state.segmentBase + index * 8, base);
  }

  segmentLimit(index: number): number {
    return this.u32(state.segmentLimit + index * 4);
  }

  segmentAttributes(index: number): number {
    return this.u32(state.segmentAttributes + index * 4);
  }

  segment(index: number): SegmentState {
    return {
      selector: this.selector(index), base: this.segmentBase(index),
      limit: this.segmentLimit(index), attributes: this.segmentAttributes(index),
    };
  }

  setSegment(index: number, segment: SegmentState): void {
    this.setU32(state.segmentSelector + index * 4, segment.selector);
    this.setU64(state.segmentBase + index * 8, segment.base);
    this.setU32(state.segmentLimit + index * 4, segment.limit);
    this.setU32(state.segmentAttributes + index * 4, segment.attributes);
  }
}
