/** Micro-ops that no instruction names. */
export const builtin = {
  /** Not decoded any more: look the place up again. */
  stale: 0,
  /** Go on in this page; displacement is four times the offset. */
  goto: 1,
  /** Go on at the page's RIP plus displacement. */
  leavePage: 2,
  helper: 3,
  /** Linear address into its slot: base + index + displacement + immediate + FS or GS base. */
  address: 4,
  /** The same, cut to 32 bits before the segment base is added. */
  address32: 5,
  /** Checked by segment, address size 32 or 16; the request is the immediate. */
  segmented32: 6,
  segmented16: 7,
  /** LEA with a narrow address: cut to 32 or 16 bits, no segment. */
  narrow32: 8,
  narrow16: 9,
  /** A 64-bit displacement takes the immediate's place too. */
  absolute: 10,
  /** Whether SSE or MMX may be used at all, before a segment is looked at. */
  requireSse: 11,
  requireMmx: 12,
  /** Whether VEX may be used at all, with general registers or with vectors. */
  requireVex: 13,
  requireAvx: 14,
  /** Compiled code starts here. */
  enter: 15,
  /** Go on at the micro-op at `displacement`. */
  direct: 16,
  count: 17,
} as const;
