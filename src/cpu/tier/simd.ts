/** What MMX and SSE instructions ask of the state before and after (SDM 3A §2.5, 1 §9.6.2). */
import { cr0Bits, cr4Bits, state, vector } from "../layout.ts";
import { i32, load, op, type Code, type Node } from "../wasm/code.ts";
import { status, x87Offset } from "../x87/state.ts";

/** Where MM0 lies: the significand of R0. */
export const mmxRegisters = state.x87 + x87Offset.registers;
const allUsed = 0xff;
const topMask = 0x3800;
/** MMX instructions write ones to sign and exponent. */
const mmxSignExponent = 0xffff;

const word = (offset: number) => load("i32.load", i32(0), offset);

/** Raises #UD, #NM or #MF where the unit may not be used; usually falls through. */
export function requireSimd(
  code: Code, sse: boolean, mmx: boolean, raise: (vector: number) => void,
): void {
  const emulated = op("i32.and", word(state.cr0), i32(cr0Bits.em));
  const missing = op("i32.xor", op("i32.and", word(state.cr4), i32(cr4Bits.osfxsr)),
    i32(cr4Bits.osfxsr));
  const undefinedHere = sse ? op("i32.or", emulated, missing) : emulated;
  const switched = op("i32.and", word(state.cr0), i32(cr0Bits.ts));
  code.if(op("i32.or", undefinedHere, switched), () => {
    code.if(undefinedHere, () => raise(vector.ud));
    raise(vector.nm);
  }, undefined, false);
  if (mmx) {
    const pending = op("i32.and", load("i32.load16_u", i32(0), state.x87 + x87Offset.status),
      i32(status.summary));
    code.if(pending, () => raise(vector.mf), undefined, false);
  }
}

export function enterMmx(code: Code): void {
  const at = state.x87 + x87Offset.status;
  const kept = op("i32.and", load("i32.load16_u", i32(0), at), i32(~topMask));
  code.store("i32.store16", i32(0), kept, at);
  code.store("i32.store8", i32(0), i32(allUsed), state.x87 + x87Offset.used);
}

/** Fills sign and exponent of the register at `address`, counted from MM0. */
export function fillSignExponent(code: Code, address: Node): void {
  code.store("i32.store16", address, i32(mmxSignExponent),
    mmxRegisters + x87Offset.signExponent);
}
