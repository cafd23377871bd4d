/**
 * RCPPS and RSQRTPS lanes: Intel SDM vol. 2. The manual bounds the relative error by 1.5 × 2^-12
 * and leaves the bits to the processor; ours have the 12 leading bits of the exact result, rounded
 * to nearest. Neither instruction raises exceptions or looks at MXCSR.
 */

const signBit = 0x8000_0000;
const infinityBits = 0x7f80_0000;
const quietBit = 0x0040_0000;
const minimumNormal = 0x0080_0000;
/** The "real indefinite" of binary32. */
const indefinite = 0xffc0_0000;
/** The lowest kept bit of a result, as a mask and as what rounds it to nearest. */
const keptBits = 0xffff_f800;
const halfKept = 0x400;

const lane = new DataView(new ArrayBuffer(4));

function toNumber(bits: number): number {
  lane.setUint32(0, bits);
  return lane.getFloat32(0);
}

/** A normal result cut to 12 bits; one too small becomes zero, as hardware has it. */
function toBits(value: number): number {
  lane.setFloat32(0, value);
  const bits = lane.getUint32(0);
  const magnitude = bits & ~signBit;
  if (magnitude < minimumNormal) {
    return (bits & signBit) >>> 0;
  }
  return ((bits + halfKept) & keptBits) >>> 0;
}

/** What zeros, denormals (which count as zeros), infinities and NaNs give; else undefined. */
function special(bits: number): number | undefined {
  const magnitude = bits & ~signBit;
  const sign = bits & signBit;
  if (magnitude < minimumNormal) {
    return (sign | infinityBits) >>> 0;
  }
  if (magnitude > infinityBits) {
    return (bits | quietBit) >>> 0;
  }
  return magnitude === infinityBits ? sign >>> 0 : undefined;
}

/** About 1 / x. */
export function reciprocal32(bits: number): number {
  return special(bits) ?? toBits(1 / toNumber(bits));
}

/** About 1 / √x; the indefinite for negative operands but zeros and denormals. */
export function reciprocalRoot32(bits: number): number {
  const magnitude = bits & ~signBit;
  const negative = (bits & signBit) !== 0;
  if (negative && magnitude >= minimumNormal && magnitude <= infinityBits) {
    return indefinite;
  }
  return special(bits) ?? toBits(1 / Math.sqrt(toNumber(bits)));
}
