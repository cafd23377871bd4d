/**
 * The instructions D8–DF: what each does with memory, and what carries it out. Intel SDM vol. 2
 * appendix A tables, with the aliases that all processors have kept.
 */
import { readInteger, readReal32, readReal64, type Reader } from "./transfer.ts";
import * as arithmetic from "./arithmetic.ts";
import * as comparison from "./compare.ts";
import * as images from "./images.ts";
import * as transfer from "./transfer.ts";
import { remainder } from "./remainder.ts";
import { status } from "./state.ts";
import { transcendentals } from "./transcendental.ts";
import type { Unit } from "./unit.ts";

/** `index` is the low three bits of the ModRM byte of a register form. */
export type Handler = (unit: Unit, index: number, memory: DataView) => void;

export interface Form {
  readonly access: "none" | "read" | "write";
  /** Size of the memory operand with a 16-bit and with a 32- or 64-bit operand size. */
  readonly bytes: { readonly narrow: number; readonly wide: number };
  /** The CPU reports a pending exception before it. */
  readonly waits: boolean;
  /** It leaves the last instruction and data pointers alone. */
  readonly control: boolean;
  readonly run: Handler;
}

type Options = Partial<Pick<Form, "waits" | "control">>;

const forms = new Map<number, Form>();

/** Memory forms are filed under reg, register forms under the ModRM byte. */
function key(opcode: number, modrm: number): number {
  return modrm >= 0xc0 ? opcode << 8 | modrm : opcode << 8 | (modrm >> 3 & 7);
}

/** The form of an instruction, or undefined if it is none (#UD). */
export function formOf(opcode: number, modrm: number): Form | undefined {
  return forms.get(key(opcode, modrm));
}

function memoryForm(
  opcode: number, reg: number, access: "read" | "write", bytes: number | Form["bytes"],
  run: Handler, options: Options = {},
): void {
  const sizes = typeof bytes === "number" ? { narrow: bytes, wide: bytes } : bytes;
  const form = { access, bytes: sizes, waits: true, control: false, ...options, run };
  forms.set(key(opcode, reg << 3), form);
}

/** A row of eight register forms. */
function rowForm(opcode: number, first: number, run: Handler): void {
  for (let index = 0; index < 8; index++) {
    singleForm(opcode, first + index, run);
  }
}

function singleForm(opcode: number, modrm: number, run: Handler, options: Options = {}): void {
  const bytes = { narrow: 0, wide: 0 };
  forms.set(key(opcode, modrm), {
    access: "none", bytes, waits: true, control: false, ...options, run,
  });
}

const plain = { unordered: false, toEflags: false, pops: 0 } as const;
const once = { ...plain, pops: 1 } as const;
const twice = { ...plain, pops: 2 } as const;

/** The eight arithmetic and comparison forms with a memory operand. */
function arithmeticMemoryForms(opcode: number, bytes: number, read: Reader): void {
  for (let reg = 0; reg < 8; reg++) {
    memoryForm(opcode, reg, "read", bytes, (unit, _index, memory) => {
      read(memory, unit.b);
      if (reg === 2 || reg === 3) {
        comparison.compareMemory(unit, reg === 2 ? plain : once);
      } else {
        arithmetic.arithmeticMemory(unit, reg);
      }
    });
  }
}

function arithmeticRegisterForms(): void {
  for (const code of Object.values(arithmetic.arithmeticCode)) {
    rowForm(0xd8, 0xc0 + 8 * code, (unit, index) => {
      arithmetic.arithmeticRegisters(unit, code, 0, index);
    });
    // DC and DE: ST(i) is the target, and the manual's names of E0/E8 and F0/F8 change places,
    // because the register forms are named after ST(i) − ST(0) and the reverse.
    const row = 0xc0 + 8 * (code >= 4 ? code ^ 1 : code);
    rowForm(0xdc, row, (unit, index) => {
      arithmetic.arithmeticRegisters(unit, code, index, 0);
    });
    rowForm(0xde, row, (unit, index) => {
      if (arithmetic.arithmeticRegisters(unit, code, index, 0)) {
        unit.state.pop();
      }
    });
  }
}

function comparisonForms(): void {
  const compareRow = (opcode: number, first: number, how: comparison.Comparison) =>
    rowForm(opcode, first, (unit, index) => comparison.compareRegister(unit, index, how));
  for (const [opcode, first] of [[0xd8, 0xd0], [0xdc, 0xd0]] as const) {
    compareRow(opcode, first, plain);
    compareRow(opcode, first + 8, once);
  }
  compareRow(0xde, 0xd0, once);
  singleForm(0xde, 0xd9, (unit) => comparison.compareRegister(unit, 1, twice));
  compareRow(0xdd, 0xe0, { ...plain, unordered: true });
  compareRow(0xdd, 0xe8, { ...once, unordered: true });
  singleForm(0xda, 0xe9, (unit) => {
    comparison.compareRegister(unit, 1, { ...twice, unordered: true });
  });
  for (const [opcode, pops] of [[0xdb, 0], [0xdf, 1]] as const) {
    compareRow(opcode, 0xe8, { unordered: true, toEflags: true, pops });
    compareRow(opcode, 0xf0, { unordered: false, toEflags: true, pops });
  }
  singleForm(0xd9, 0xe4, comparison.compareZero);
  singleForm(0xd9, 0xe5, comparison.examine);
}

function loadForms(): void {
  const loads = [
    [0xd9, 0, 4, readReal32], [0xdd, 0, 8, readReal64], [0xdf, 0, 2, readInteger[16]],
    [0xdb, 0, 4, readInteger[32]], [0xdf, 5, 8, readInteger[64]],
    [0xdf, 4, 10, transfer.readDecimal],
  ] as const;
  for (const [opcode, reg, bytes, read] of loads) {
    memoryForm(opcode, reg, "read", bytes, (unit, _index, memory) => {
      read(memory, unit.b);
      transfer.loadNumber(unit);
    });
  }
  memoryForm(0xdb, 5, "read", 10, (unit, _index, memory) => transfer.loadExtended(unit, memory));
  rowForm(0xd9, 0xc0, transfer.loadRegister);
  const constants = [
    { exponent: 0, significand: 1n << 127n },
    { exponent: 1, significand: 0xd49a_784b_cd1b_8afe_492b_f6ff_4daf_db4cn },
    { exponent: 0, significand: 0xb8aa_3b29_5c17_f0bb_be87_fed0_691d_3e88n },
    { exponent: 1, significand: 0xc90f_daa2_2168_c234_c4c6_628b_80dc_1cd1n },
    { exponent: -2, significand: 0x9a20_9a84_fbcf_f798_8f89_59ac_0b7c_9178n },
    { exponent: -1, significand: 0xb172_17f7_d1cf_79ab_c9e3_b398_03f2_f6afn },
    undefined,
  ];
  constants.forEach((constant, index) => {
    singleForm(0xd9, 0xe8 + index, (unit) => transfer.loadConstant(unit, constant));
  });
}

function storeForms(): void {
  for (const [opcode, bits] of [[0xd9, 32], [0xdd, 64]] as const) {
    for (const reg of [2, 3]) {
      memoryForm(opcode, reg, "write", bits / 8, (unit, _index, memory) => {
        transfer.storeReal(unit, memory, bits, reg === 3);
      });
    }
  }
  const integers = [
    [0xdf, 1, 16, true, true], [0xdf, 2, 16, false, false], [0xdf, 3, 16, true, false],
    [0xdb, 1, 32, true, true], [0xdb, 2, 32, false, false], [0xdb, 3, 32, true, false],
    [0xdd, 1, 64, true, true], [0xdf, 7, 64, true, false],
  ] as const;
  for (const [opcode, reg, bits, pop, truncate] of integers) {
    memoryForm(opcode, reg, "write", bits / 8, (unit, _index, memory) => {
      transfer.storeInteger(unit, memory, bits, pop, truncate);
    });
  }
  memoryForm(0xdb, 7, "write", 10, (unit, _index, memory) => transfer.storeExtended(unit, memory));
  memoryForm(0xdf, 6, "write", 10, (unit, _index, memory) => transfer.storeDecimal(unit, memory));
  rowForm(0xdd, 0xd0, (unit, index) => transfer.storeRegister(unit, index, false));
  for (const [opcode, first] of [[0xdd, 0xd8], [0xdf, 0xd0], [0xdf, 0xd8]] as const) {
    rowForm(opcode, first, (unit, index) => transfer.storeRegister(unit, index, true));
  }
  rowForm(0xd9, 0xd8, transfer.storeUnchecked);
}

function stackForms(): void {
  for (const [opcode, first] of [[0xd9, 0xc8], [0xdd, 0xc8], [0xdf, 0xc8]] as const) {
    rowForm(opcode, first, transfer.exchange);
  }
  const conditions = [0x01, 0x40, 0x41, 0x04]; // below, equal, below or equal, unordered
  conditions.forEach((mask, index) => {
    rowForm(0xda, 0xc0 + 8 * index, (unit, register) => {
      transfer.moveIf(unit, register, (unit.eflags & mask) !== 0);
    });
    rowForm(0xdb, 0xc0 + 8 * index, (unit, register) => {
      transfer.moveIf(unit, register, (unit.eflags & mask) === 0);
    });
  });
  rowForm(0xdd, 0xc0, (unit, index) => {
    unit.begin();
    unit.state.free(index);
  });
  rowForm(0xdf, 0xc0, (unit, index) => {
    unit.begin();
    unit.state.free(index);
    unit.state.pop();
  });
  for (const [modrm, step] of [[0xf6, -1], [0xf7, 1]] as const) {
    singleForm(0xd9, modrm, (unit) => {
      unit.begin();
      unit.state.top += step;
    });
  }
  singleForm(0xd9, 0xd0, () => {});
}

function unaryForms(): void {
  singleForm(0xd9, 0xe0, (unit) => arithmetic.changeSign(unit, false));
  singleForm(0xd9, 0xe1, (unit) => arithmetic.changeSign(unit, true));
  singleForm(0xd9, 0xf4, arithmetic.extract);
  singleForm(0xd9, 0xf5, (unit) => remainder(unit, true));
  singleForm(0xd9, 0xf8, (unit) => remainder(unit, false));
  singleForm(0xd9, 0xfa, arithmetic.squareRootTop);
  singleForm(0xd9, 0xfc, arithmetic.roundTop);
  singleForm(0xd9, 0xfd, arithmetic.scale);
  for (const [modrm, run] of Object.entries(transcendentals)) {
    singleForm(0xd9, Number(modrm), run);
  }
}

const waiting = { control: true } as const;
const immediate = { control: true, waits: false } as const;

function controlForms(): void {
  memoryForm(0xd9, 5, "read", 2, (unit, _index, memory) => {
    unit.state.control = memory.getUint16(0, true);
  }, waiting);
  memoryForm(0xd9, 7, "write", 2, (unit, _index, memory) => {
    memory.setUint16(0, unit.state.control, true);
    unit.stored = true;
  }, immediate);
  memoryForm(0xdd, 7, "write", 2, (unit, _index, memory) => {
    memory.setUint16(0, unit.state.status, true);
    unit.stored = true;
  }, immediate);
  singleForm(0xdf, 0xe0, (unit) => {
    unit.ax = unit.state.status;
  }, immediate);
  memoryForm(0xd9, 4, "read", images.environmentBytes, (unit, _index, memory) => {
    images.readEnvironment(unit.state, memory, unit);
  }, waiting);
  memoryForm(0xd9, 6, "write", images.environmentBytes, (unit, _index, memory) => {
    images.writeEnvironment(unit.state, memory, unit);
    images.maskAll(unit.state);
    unit.stored = true;
  }, immediate);
  memoryForm(0xdd, 4, "read", images.saveBytes, (unit, _index, memory) => {
    images.readSave(unit.state, memory, unit);
  }, waiting);
  memoryForm(0xdd, 6, "write", images.saveBytes, (unit, _index, memory) => {
    images.writeSave(unit.state, memory, unit);
    unit.state.initialise();
    unit.stored = true;
  }, immediate);
  // FNENI, FNDISI and FNSETPM of the 8087 and 80287 do nothing.
  for (const modrm of [0xe0, 0xe1, 0xe4]) {
    singleForm(0xdb, modrm, () => {}, immediate);
  }
  singleForm(0xdb, 0xe2, (unit) => {
    const kept = ~(status.exceptions | status.stackFault | status.summary | status.busy);
    unit.state.status &= kept;
  }, immediate);
  singleForm(0xdb, 0xe3, (unit) => unit.state.initialise(), immediate);
}

arithmeticMemoryForms(0xd8, 4, readReal32);
arithmeticMemoryForms(0xdc, 8, readReal64);
arithmeticMemoryForms(0xda, 4, readInteger[32]);
arithmeticMemoryForms(0xde, 2, readInteger[16]);
arithmeticRegisterForms();
comparisonForms();
loadForms();
storeForms();
stackForms();
unaryForms();
controlForms();
