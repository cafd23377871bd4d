/** Control transfer and flags (Intel SDM volume 2): JMP, CALL, RET, LOOP, CLC to POPF. */
import { eflags } from "../layout.ts";
import { rax, type SemanticsBuilder } from "./builder.ts";
import { define, defineHelpers, row } from "./table.ts";
import type { Value } from "./value.ts";

define("jmp", (x, target) => {
  x.requireRelative(target);
  x.jumpRelative(target);
}, { branch: true });
define("jmp.indirect", (x, target) => {
  const destination = x.bind(x.read(target));
  x.requireTarget(destination);
  x.jump(destination);
});
define("call", (x, target) => {
  x.requireRelative(target);
  x.push(x.nextRip());
  x.jumpRelative(target);
}, { stack: true, branch: true });
define("call.indirect", (x, target) => {
  const destination = x.bind(x.read(target));
  x.requireTarget(destination);
  x.push(x.nextRip());
  x.jump(destination);
}, { stack: true });
define("ret", (x) => {
  const target = x.bind(x.top(x.operandWidth));
  x.requireTarget(target);
  x.release(x.operandWidth / 8);
  x.jump(target);
}, { stack: true });
define("ret.pop", (x, bytes) => {
  const target = x.bind(x.top(x.operandWidth));
  x.requireTarget(target);
  const extra = x.zeroExtend(x.read(bytes), 32);
  x.release(x.add(x.constant(32, x.operandWidth / 8), extra));
  x.jump(target);
}, { stack: true });
row("jmp", "Jb", "EB", { size64: "forced" });
row("jmp", "Jz", "E9", { size64: "forced" });
row("jmp.indirect", "Ev", "FF /4", { size64: "forced" });
row("call", "Jz", "E8", { size64: "forced" });
row("call.indirect", "Ev", "FF /2", { size64: "forced" });
row("ret", "", "C3", { size64: "forced" });
row("ret.pop", "Iw", "C2", { size64: "forced" });

/** LOOP and JCXZ count in rCX at the address size, which the decoder passes as a second operand. */
function defineLoop(mnemonic: string, opcode: string,
  holds: (x: SemanticsBuilder, count: Value) => Value, counts: boolean): void {
  define(mnemonic, (x, target, counter) => {
    const old = x.read(counter);
    const count = x.bind(counts ? x.sub(old, x.constant(old.width, 1)) : old);
    const taken = x.bind(holds(x, count));
    x.when(taken, () => x.requireRelative(target));
    if (counts) {
      x.write(counter, count);
    }
    x.when(taken, () => x.jumpRelative(target));
  }, { branch: true });
  row(mnemonic, "Jb,rCX", opcode, { size64: "forced" });
}
const nonZero = (x: SemanticsBuilder, count: Value) => x.xor(x.isZero(count), x.constant(1, 1));
const notZf = (x: SemanticsBuilder) => x.xor(x.flag("zf"), x.constant(1, 1));
defineLoop("loopne", "E0", (x, count) => x.and(nonZero(x, count), notZf(x)), true);
defineLoop("loope", "E1", (x, count) => x.and(nonZero(x, count), x.flag("zf")), true);
defineLoop("loop", "E2", nonZero, true);
defineLoop("jcxz", "E3", (x, count) => x.isZero(count), false);

// Far transfers, interrupts and returns from them.
defineHelpers(
  "jmp.far", "call.far", "ret.far", "iret", "int", "int3", "into", "int1", "ud", "bound", "hlt",
);
row("jmp.far", "Ap", "EA", { modes: "legacy" });
row("call.far", "Ap", "9A", { modes: "legacy" });
row("jmp.far", "Mp", "FF /5 mem");
row("call.far", "Mp", "FF /3 mem");
row("ret.far", "", "CB");
row("ret.far", "Iw", "CA");
row("iret", "", "CF");
row("int", "Ib", "CD");
row("int3", "", "CC");
row("into", "", "CE", { modes: "legacy" });
row("int1", "", "F1");
row("ud", "", "0F 0B");
row("ud", "Gv,Ev", "0F B9");
row("ud", "Gv,Ev", "0F FF");
row("bound", "Gv,M", "62 mem", { modes: "legacy" });
row("hlt", "", "F4");

// Flags.
define("clc", (x) => x.set("cf", x.constant(1, 0)));
define("stc", (x) => x.set("cf", x.constant(1, 1)));
define("cmc", (x) => x.set("cf", x.xor(x.flag("cf"), x.constant(1, 1))));
row("clc", "", "F8");
row("stc", "", "F9");
row("cmc", "", "F5");

define("cld", (x) => {
  x.setSystemFlags(x.and(x.systemFlags(), x.constant(32, ~eflags.df >>> 0)));
});
define("std", (x) => {
  x.setSystemFlags(x.or(x.systemFlags(), x.constant(32, eflags.df)));
}, { cold: true });
row("cld", "", "FC");
row("std", "", "FD");

define("cli", (x) => {
  x.when(x.mayChangeInterruptFlag(),
    () => x.setSystemFlags(x.and(x.systemFlags(), x.constant(32, ~eflags.if >>> 0))),
    () => x.helper(), true);
});
define("sti", (x) => {
  x.when(x.and(x.mayChangeInterruptFlag(), x.nothingPending()),
    () => x.setSystemFlags(x.or(x.systemFlags(), x.constant(32, eflags.if))),
    () => x.helper(), true);
});
row("cli", "", "FA");
row("sti", "", "FB");

define("lahf", (x) => {
  const image = x.or(x.flagsImage(), x.constant(32, eflags.fixed));
  x.setRegister(rax, x.truncate(image, 8), true);
});
define("sahf", (x) => {
  const image = x.zeroExtend(x.register(rax, 8, true), 32);
  const overflow = x.flag("of");
  x.setFlagsImage(image);
  x.set("of", overflow);
});
row("lahf", "", "9F");
row("sahf", "", "9E");

/** PUSHF and POPF in the common case; virtual-8086 mode and odd bits go to the helper. */
define("pushf", (x) => {
  const width = x.operandWidth;
  const hidden = eflags.rf | eflags.vm;
  const image = x.or(x.or(x.flagsImage(), x.constant(32, eflags.fixed)),
    x.and(x.systemFlags(), x.constant(32, ~hidden >>> 0)));
  x.when(x.isVirtual8086(), () => x.helper(), undefined, false);
  x.push(x.bind(x.resize(image, width)));
}, { stack: true });
define("popf", (x) => {
  const width = x.operandWidth;
  const image = x.bind(x.resize(x.top(width), 32));
  // Beyond the arithmetic flags, DF and IF everything else stays as it is, or the helper acts.
  const usual = eflags.df | eflags.if;
  const present = x.systemFlags();
  const known = 0x24_7fd5;
  const unusual = x.and(x.xor(image, present), x.constant(32,
    (known & ~0x8d5 & ~usual & (width === 16 ? 0xffff : -1)) >>> 0));
  const simple = x.and(x.and(x.isZero(unusual), x.nothingPending()), x.mayChangeInterruptFlag());
  x.when(simple, () => {}, () => x.helper(), true);
  x.release(width / 8);
  x.setFlagsImage(image);
  x.setSystemFlags(x.or(x.and(present, x.constant(32, ~usual >>> 0)),
    x.and(image, x.constant(32, usual))));
}, { stack: true });
row("pushf", "", "9C", { size64: "default" });
row("popf", "", "9D", { size64: "default" });

define("salc", (x) => {
  x.setRegister(rax, x.truncate(x.neg(x.zeroExtend(x.flag("cf"), 32)), 8));
}, { cold: true });
row("salc", "", "D6", { modes: "legacy" });

