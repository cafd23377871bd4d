/** How iced-x86 names what the rows of our instruction set name. */
import { CpuidFeature, Mnemonic, OpKind } from "iced-x86";
import { defined } from "../../../src/base/assert.ts";
import { fmaConstant } from "../../../src/cpu/isa/fma.ts";
import type { Row } from "../../../src/cpu/isa/table.ts";

const conditions = [
  "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
];

const byWidth = (...names: readonly [string, string, string]) =>
  ({ 16: names[0], 32: names[1], 64: names[2] });

/** Names that depend on the operand size. */
const sized: Record<string, Record<16 | 32 | 64, string>> = {
  cbw: byWidth("cbw", "cwde", "cdqe"),
  cwd: byWidth("cwd", "cdq", "cqo"),
  pusha: byWidth("pusha", "pushad", ""),
  popa: byWidth("popa", "popad", ""),
  pushf: byWidth("pushf", "pushfd", "pushfq"),
  popf: byWidth("popf", "popfd", "popfq"),
  iret: byWidth("iret", "iretd", "iretq"),
  sysret: byWidth("sysret", "sysret", "sysretq"),
  sysexit: byWidth("sysexit", "sysexit", "sysexitq"),
};

/** Rows that stand for several of iced's mnemonics. */
const several: Record<string, readonly string[]> = {
  "load.far": ["les", "lds", "lss", "lfs", "lgs"],
  xlat: ["xlatb"],
  fence: ["lfence", "mfence", "sfence"],
  ud: ["ud0", "ud1", "ud2"],
  fwait: ["wait"],
  "ret.far": ["retf"],
  vmcall: ["vmcall", "vmmcall"],
  wbinvd: ["wbinvd", "invd", "wbnoinvd"],
  movsx: ["movsx", "movsxd"],
  shl: ["shl", "sal"],
  fxsave: ["fxsave", "fxsave64"],
  fxrstor: ["fxrstor", "fxrstor64"],
  xsave: ["xsave", "xsave64"],
  xrstor: ["xrstor", "xrstor64"],
  xsaveopt: ["xsaveopt", "xsaveopt64"],
  xsavec: ["xsavec", "xsavec64"],
  // What moves or combines the same bits is one instruction to us.
  mova: ["movapd", "movaps", "movdqa", "movntdq", "movntdqa", "movntpd", "movntps", "movntq",
    "movq"],
  movu: ["lddqu", "movdqu", "movupd", "movups"],
  movhigh: ["movhpd", "movhps", "movlhps"],
  movlow: ["movd", "movlpd", "movlps", "movq", "movsd", "movss"],
  movz: ["movd", "movq", "movsd", "movss"],
  maskmov: ["maskmovdqu", "maskmovq"],
  andp: ["andpd", "andps"],
  andnp: ["andnpd", "andnps"],
  blendps: ["blendps", "pblendd"],
  pshufd: ["pshufd", "permilps"],
  orp: ["orpd", "orps"],
  xorp: ["xorpd", "xorps"],
  pcmpestri: ["pcmpestri", "pcmpestri64"],
  pcmpestrm: ["pcmpestrm", "pcmpestrm64"],
  pextrd: ["pextrd", "extractps"],
  punpckhdq: ["punpckhdq", "unpckhps"],
  punpckhqdq: ["punpckhqdq", "unpckhpd"],
  punpckldq: ["punpckldq", "unpcklps"],
  punpcklqdq: ["punpcklqdq", "unpcklpd"],
};

/** Hints do nothing in our model, whatever later processors make of them. */
const isHint = (name: string) => /^(nop|reservednop|prefetch|endbr|cldemote|rdssp|bnd)/.test(name);

const stringMnemonics = new Set(["movs", "cmps", "stos", "lods", "scas", "ins", "outs"]);

export interface IcedCode {
  readonly name: string;
  readonly features: readonly number[];
}

/** Whether `iced` is what `row` means at the given sizes. */
export function sameMnemonic(
  row: Row, operandWidth: 16 | 32 | 64, addressWidth: 16 | 32 | 64, iced: IcedCode,
): boolean {
  const { mnemonic } = row;
  const { name } = iced;
  if (mnemonic === "nop") {
    return isHint(name);
  }
  if (mnemonic === "x87") {
    return iced.features.some((each) => floatFeatures.has(each));
  }
  if (stringMnemonics.has(mnemonic)) {
    const letter = row.operands[0]?.size === "b" ? "b"
      : operandWidth === 16 ? "w"
        : operandWidth === 64 && row.operands[0]?.size === "v" ? "q" : "d";
    return name === mnemonic + letter;
  }
  if (mnemonic === "jcxz") {
    return name === { 16: "jcxz", 32: "jecxz", 64: "jrcxz" }[addressWidth];
  }
  const conditional = /^(j|set|cmov)([0-9A-F])$/.exec(mnemonic);
  if (conditional !== null) {
    const condition = conditions[parseInt(defined(conditional[2], "a condition"), 16)];
    return name === `${conditional[1]}${condition}`;
  }
  if (row.options.constant !== undefined) {
    return name === fusedName(row, row.options.constant);
  }
  const expected = sized[mnemonic]?.[operandWidth];
  if (expected !== undefined) {
    return name === expected;
  }
  const plain = plainMnemonic(row);
  const plainName = plain === mnemonic ? name : name.slice(1);
  return (several[plain]?.includes(plainName) ?? plainName === plain.split(".")[0])
    && (plain === mnemonic || name.startsWith("v"));
}

/** VFMADD132PS to VFNMSUB231SD, from the constant of the row. */
function fusedName({ mnemonic }: Row, constant: number): string {
  const { form213, form231, negateProduct, negateEven, negateOdd } = fmaConstant;
  const form = (constant & form213) !== 0 ? "213" : (constant & form231) !== 0 ? "231" : "132";
  const even = (constant & negateEven) !== 0, odd = (constant & negateOdd) !== 0;
  const kind = even && odd ? "sub" : even ? "addsub" : odd ? "subadd" : "add";
  const sign = (constant & negateProduct) !== 0 ? "n" : "";
  return `vf${sign}m${kind}${form}${mnemonic.slice(-2)}`;
}

/** Without the `v` of instructions behind VEX. */
export const plainMnemonic = ({ vex, mnemonic }: Row) =>
  vex && mnemonic.startsWith("v") ? mnemonic.slice(1) : mnemonic;

export const mnemonicName = (mnemonic: Mnemonic) => defined(Mnemonic[mnemonic], "a name")
  .toLowerCase();

const F = CpuidFeature;
const floatFeatures: ReadonlySet<number> = new Set([F.FPU, F.FPU287, F.FPU387]);

/** The features of iced that our processor model has. Everything else is #UD, or a hint. */
export const modelFeatures: ReadonlySet<number> = new Set([
  ...floatFeatures, F.ADX, F.AES, F.PCLMULQDQ, F.SHA, F.AVX, F.AVX2, F.FMA, F.F16C, F.BMI2,
  F.INTEL8086, F.INTEL186, F.INTEL286, F.INTEL386, F.INTEL486, F.X64, F.BMI1, F.CLFSH, F.CMOV,
  F.CMPXCHG16B, F.CPUID, F.CX8, F.FSGSBASE, F.FXSR, F.INVPCID, F.LZCNT, F.MMX, F.MONITOR, F.MOVBE,
  F.MSR, F.MULTIBYTENOP, F.PAUSE, F.POPCNT, F.PREFETCHW, F.RDPMC, F.RDRAND, F.RDSEED, F.RDTSCP,
  F.SEP, F.SMAP, F.SSE, F.SSE2, F.SSE3, F.SSE4_1, F.SSE4_2, F.SSSE3, F.SYSCALL, F.TSC, F.XSAVE,
  F.XSAVEC, F.XSAVEOPT,
]);

/** Bits of an immediate operand that count. */
export const immediateBits: ReadonlyMap<number, number> = new Map([
  [OpKind.Immediate8, 8], [OpKind.Immediate8_2nd, 8], [OpKind.Immediate16, 16],
  [OpKind.Immediate32, 32], [OpKind.Immediate64, 64], [OpKind.Immediate8to16, 16],
  [OpKind.Immediate8to32, 32], [OpKind.Immediate8to64, 64], [OpKind.Immediate32to64, 64],
]);
