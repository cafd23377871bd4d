/** Which rows of the instruction set run in user mode on any processor with the same outcome. */
import { readFileSync } from "node:fs";
import type { CodeBits } from "./layout.ts";
import { rows, type OperandSpec, type Row } from "../../../src/cpu/isa/table.ts";

/** What a comparison of single user-mode instructions leaves out, and why. */
const excluded: Readonly<Record<string, string>> = {
  "cpuid rdtsc rdtscp rdpmc rdrand rdseed xgetbv": "answers differ by machine",
  "syscall sysenter sysret sysexit int int1 int3 into iret": "enters the kernel of the host",
  "ret.far call.far jmp.far mov.to.segment pop.segment load.far": "descriptors of the host",
  "lar lsl verr verw str sldt sgdt sidt smsw": "descriptors of the host, or its kernel acts",
  "rdfsbase rdgsbase wrfsbase wrgsbase": "thread pointer of the host",
  "monitor mwait vmcall clzero": "depends on the hypervisor of the host",
  "fxsave fxrstor xsave xrstor xsaveopt xsavec": "images of 512 bytes and more have own tests",
  "rcpps rcpss rsqrtps rsqrtss": "approximations are each processor's own",
  "vrcpps vrcpss vrsqrtps vrsqrtss": "the same",
  "hlt": "is what stops every case",
};

const excludedMnemonics = new Set(Object.keys(excluded).flatMap((names) => names.split(" ")));

/** Bytes are given by letters of the manual; all other operands need none. */
export function immediateBytes(
  spec: OperandSpec, operandWidth: 16 | 32 | 64, addressWidth: 16 | 32 | 64, long = true,
): number {
  switch (spec.place) {
    case "I": return spec.size === "b" || spec.size === "bs" ? 1
      : spec.size === "w" ? 2
        : spec.size === "z" ? Math.min(4, operandWidth / 8) : operandWidth / 8;
    case "L": return 1;
    case "J": return spec.size === "b" ? 1 : operandWidth === 16 && !long ? 2 : 4;
    case "O": return addressWidth / 8;
    default: return 0;
  }
}

const vectorPlaces = new Set(["V", "U", "W", "H", "P", "N", "Q"]);

/** The instruction works on x87, MMX or SSE state. */
export function usesFloat(row: Row): boolean {
  return row.mnemonic === "x87" || row.mnemonic === "fwait" || row.mnemonic === "emms"
    || row.mnemonic.endsWith("mxcsr") || row.operands.some((spec) => vectorPlaces.has(spec.place));
}

/** Any target is in the segment of 16-bit code, which has the other cases and leftovers in it. */
const indirect = new Set(["jmp.indirect", "call.indirect", "ret", "ret.pop"]);

/** Rows by mnemonic, so that each instruction has its turn however many rows it has. */
export function nativeRows(
  features: ReadonlySet<string>, float: boolean, bits: CodeBits,
): Row[][] {
  const otherMode = bits === 64 ? "legacy" : "long";
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const { feature, modes } = row.options;
    if (modes === otherMode || excludedMnemonics.has(row.mnemonic)
      || (feature !== undefined && !features.has(feature)) || usesFloat(row) !== float
      || (bits === 16 && indirect.has(row.mnemonic))) {
      continue;
    }
    const list = groups.get(row.mnemonic) ?? [];
    groups.set(row.mnemonic, list);
    list.push(row);
  }
  return [...groups.values()];
}

/** Names in Linux' list of flags, where they are not ours. */
const hostNames: Readonly<Record<string, string>> = {
  sse3: "pni", "sse4.1": "sse4_1", "sse4.2": "sse4_2", lzcnt: "abm", sha: "sha_ni",
  "lahf-lm": "lahf_lm", cx16: "cx16",
};

/** What of `features` the processor of this machine has, as Linux lists it. */
export function hostFeatures(features: ReadonlySet<string>): Set<string> {
  const line = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  const known = new Set(line.trim().split(/\s+/));
  return new Set([...features].filter((name) => known.has(hostNames[name] ?? name)));
}
