/** String instructions (Intel SDM volume 2, REP): one text for every width, address size, mode. */
import { rax, rcx, rdi, rsi, type SemanticsBuilder } from "./builder.ts";
import { define, defineHelpers, row } from "./table.ts";
import type { Value, Width } from "./value.ts";

/** Which repeat prefix the decoder saw. */
export type Repeat = "once" | "rep" | "repe" | "repne";

/** What a string case knows beyond other cases. */
export interface StringForm {
  readonly width: Width;
  readonly addressWidth: Width;
  readonly repeat: Repeat;
}

/** Elements an instruction may do before it lets interrupts and the time slice in. */
const elementsMax = 256;

type Element = (x: SemanticsBuilder, form: StringForm) => void;

function advance(x: SemanticsBuilder, register: 6 | 7, form: StringForm): void {
  const size = x.constant(form.addressWidth, form.width / 8);
  const old = x.register(register, form.addressWidth);
  const step = x.select(x.directionDown(), x.neg(size), size);
  x.setRegister(register, x.add(old, step));
}

function compareFlags(x: SemanticsBuilder, a: Value, b: Value): void {
  const result = x.sub(a, b);
  const notA = x.not(a);
  x.carries(x.or(x.and(notA, b), x.and(x.or(notA, b), result)));
  x.setResultFlags(result);
  x.finishFlags();
}

const elements: Record<string, Element> = {
  movs: (x, form) => {
    const value = x.bind(x.load(x.stringSource(form), form.width));
    x.store(x.stringTarget(form, true), value);
    advance(x, rsi, form);
    advance(x, rdi, form);
  },
  stos: (x, form) => {
    x.store(x.stringTarget(form, true), x.register(rax, form.width));
    advance(x, rdi, form);
  },
  lods: (x, form) => {
    x.setRegister(rax, x.load(x.stringSource(form), form.width));
    advance(x, rsi, form);
  },
  cmps: (x, form) => {
    const a = x.bind(x.load(x.stringSource(form), form.width));
    const b = x.bind(x.load(x.stringTarget(form, false), form.width));
    compareFlags(x, a, b);
    advance(x, rsi, form);
    advance(x, rdi, form);
  },
  scas: (x, form) => {
    const a = x.register(rax, form.width);
    const b = x.bind(x.load(x.stringTarget(form, false), form.width));
    compareFlags(x, a, b);
    advance(x, rdi, form);
  },
};

/** Runs the element under its repeat prefix; a fault leaves the registers at the element. */
export function buildString(x: SemanticsBuilder, mnemonic: string, form: StringForm): void {
  const element = elements[mnemonic];
  if (element === undefined) {
    return;
  }
  if (form.repeat === "once") {
    element(x, form);
    return;
  }
  const count = () => x.register(rcx, form.addressWidth);
  const goOn = form.repeat === "repe" ? () => x.flag("zf")
    : form.repeat === "repne" ? () => x.xor(x.flag("zf"), x.constant(1, 1)) : undefined;
  x.repeat(elementsMax, () => x.isZero(count()), () => {
    if (mnemonic === "movs" || mnemonic === "stos") {
      x.bulk(mnemonic, form);
    }
  }, () => {
    element(x, form);
    x.setRegister(rcx, x.sub(count(), x.constant(form.addressWidth, 1)));
    return goOn?.();
  });
}

for (const [mnemonic, opcode] of [["movs", 0xa4], ["cmps", 0xa6], ["stos", 0xaa], ["lods", 0xac],
  ["scas", 0xae]] as const) {
  define(mnemonic, (x) => x.stringForm((form) => buildString(x, mnemonic, form)),
    { cold: true });
  const hex = (value: number) => value.toString(16).toUpperCase();
  row(mnemonic, "Xb", hex(opcode));
  row(mnemonic, "Xv", hex(opcode + 1));
}

// Port strings leave the vCPU for each element anyway.
defineHelpers("ins", "outs");
row("ins", "Xb", "6C");
row("ins", "Xz", "6D");
row("outs", "Xb", "6E");
row("outs", "Xz", "6F");
