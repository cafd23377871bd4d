/** Data movement (Intel SDM volume 2): MOV family, stack, exchange, conditional moves. */
import {
  rax, rbp, rbx, rcx, rdx, rsp, type Condition, type SemanticsBuilder,
} from "./builder.ts";
import { define, defineHelpers, row } from "./table.ts";
import { onLane, simd } from "../wasm/code.ts";
import { vector } from "../layout.ts";
import { Value } from "./value.ts";

define("mov", (x, dst, src) => x.write(dst, x.read(src)));
row("mov", "Eb,Gb", "88");
row("mov", "Ev,Gv", "89");
row("mov", "Gb,Eb", "8A");
row("mov", "Gv,Ev", "8B");
row("mov", "Zb,Ib", "B0");
row("mov", "Zv,Iv", "B8");
row("mov", "Eb,Ib", "C6 /0");
row("mov", "Ev,Iz", "C7 /0");
row("mov", "AL,Ob", "A0");
row("mov", "rAX,Ov", "A1");
row("mov", "Ob,AL", "A2");
row("mov", "Ov,rAX", "A3");

define("movzx", (x, dst, src) => x.write(dst, x.zeroExtend(x.read(src), dst.width)));
define("movsx", (x, dst, src) => x.write(dst, x.signExtend(x.read(src), dst.width)));
row("movzx", "Gv,Eb", "0F B6");
row("movzx", "Gv,Ew", "0F B7");
row("movsx", "Gv,Eb", "0F BE");
row("movsx", "Gv,Ew", "0F BF");
row("movsx", "Gv,Ez", "63", { modes: "long" }); // MOVSXD

define("lea", (x, dst, src) => x.write(dst, x.resize(x.address(src), dst.width)));
row("lea", "Gv,M", "8D");

define("xchg", (x, dst, src) => {
  const a = x.bind(x.read(dst)), b = x.bind(x.read(src));
  x.write(dst, b);
  x.write(src, a);
});
row("xchg", "Eb,Gb", "86", { lock: true });
row("xchg", "Ev,Gv", "87", { lock: true });
define("nop", () => {});
row("nop", "", "90"); // Before XCHG, which 90 is with REX.B only: the decoder sees to that.
row("xchg", "Zv,rAX", "90");
row("nop", "Ev", "0F 1F /r");
row("nop", "Ev", "0F 0D /r"); // PREFETCHW and relatives.
row("nop", "Ev", "0F 18 /r"); // PREFETCHh
for (const opcode of ["19", "1A", "1B", "1C", "1D", "1E"]) {
  row("nop", "Ev", `0F ${opcode} /r`); // Reserved hint space, ENDBR64 among it.
}

define("xadd", (x, dst, src) => {
  const a = x.bind(x.read(dst)), b = x.read(src);
  const sum = x.bind(x.add(a, b));
  x.carries(x.or(x.and(a, b), x.and(x.or(a, b), x.not(sum))));
  x.setResultFlags(sum);
  // With the same register twice the sum wins, so it is written last.
  if (dst.kind === "memory") {
    x.write(dst, sum);
    x.write(src, a);
  } else {
    x.write(src, a);
    x.write(dst, sum);
  }
});
row("xadd", "Eb,Gb", "0F C0", { lock: true });
row("xadd", "Ev,Gv", "0F C1", { lock: true });

define("cmpxchg", (x, dst, src) => {
  const old = x.bind(x.read(dst));
  const accumulator = x.bind(x.register(rax, old.width));
  const difference = x.sub(accumulator, old);
  const notA = x.not(accumulator);
  x.carries(x.or(x.and(notA, old), x.and(x.or(notA, old), difference)));
  x.setResultFlags(difference);
  const same = x.bind(x.equal(accumulator, old));
  const replacement = x.read(src);
  if (dst.kind === "memory") {
    x.write(dst, x.select(same, replacement, old)); // Hardware writes in either case.
    x.when(same, () => {}, () => x.setRegister(rax, old));
  } else {
    x.when(same, () => x.write(dst, replacement), () => x.setRegister(rax, old));
  }
});
row("cmpxchg", "Eb,Gb", "0F B0", { lock: true });
row("cmpxchg", "Ev,Gv", "0F B1", { lock: true });

define("cmpxchg8b", (x, dst) => {
  const old = x.bind(x.read(dst));
  const pair = (high: 2 | 1, low: 0 | 3) => x.or(
    x.shl(x.zeroExtend(x.register(high, 32), 64), x.constant(32, 32)),
    x.zeroExtend(x.register(low, 32), 64));
  const same = x.bind(x.equal(old, pair(rdx, rax)));
  x.set("zf", same);
  x.write(dst, x.select(same, pair(rcx, rbx), old));
  x.when(same, () => {}, () => {
    x.setRegister(rax, x.truncate(old, 32));
    x.setRegister(rdx, x.truncate(x.shr(old, x.constant(32, 32)), 32));
  });
}, { cold: true });
define("cmpxchg16b", (x, dst) => {
  const low = x.truncate(x.address(dst), 32);
  x.when(x.isZero(x.and(low, x.constant(32, 15))), () => {}, () => x.raise(vector.gp), true);
  const old = x.bind(x.read(dst));
  const [low64, high64] = ([0, 1] as const).map((lane) => x.bind(new Value(
    onLane("i64x2.extract_lane", lane, old.node), 64, true)));
  if (low64 === undefined || high64 === undefined) {
    return;
  }
  const same = x.bind(x.and(x.equal(low64, x.register(rax, 64)),
    x.equal(high64, x.register(rdx, 64))));
  x.set("zf", same);
  const pair = onLane("i64x2.replace_lane", 1, simd("i64x2.splat", x.register(rbx, 64).node),
    x.register(rcx, 64).node);
  x.write(dst, x.select(same, new Value(pair, 128, true), old));
  x.when(same, () => {}, () => {
    x.setRegister(rax, low64);
    x.setRegister(rdx, high64);
  });
}, { cold: true });
row("cmpxchg8b", "Mq", "0F C7 /1 W0", { lock: true });
row("cmpxchg16b", "Mo", "0F C7 /1 W1", { lock: true, modes: "long", feature: "cx16" });

/** The bytes in reverse order; 32 bits at least. */
function reversed(x: SemanticsBuilder, value: Value): Value {
  const swap32 = (word: Value) => {
    const mask = x.constant(32, 0x00ff00ff);
    const right = x.and(x.rotateLeft(word, x.constant(32, 8)), mask);
    const left = x.and(x.rotateLeft(word, x.constant(32, 24)), x.not(mask));
    return x.or(right, left);
  };
  if (value.width === 32) {
    return swap32(x.bind(value));
  }
  const half = x.constant(32, 32);
  const low = swap32(x.bind(x.truncate(value, 32)));
  const high = swap32(x.bind(x.truncate(x.shr(value, half), 32)));
  return x.or(x.shl(x.zeroExtend(low, 64), half), x.zeroExtend(high, 64));
}

define("bswap", (x, dst) => {
  const value = x.read(dst);
  // 16 bits are undefined by the manual; processors clear them.
  x.write(dst, value.width === 16 ? x.constant(16, 0) : reversed(x, value));
});
row("bswap", "Zv", "0F C8");

defineHelpers("xlat");
row("xlat", "", "D7");

const conditions: readonly Condition[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
conditions.forEach(defineConditional);

function defineConditional(condition: Condition): void {
  const hex = condition.toString(16).toUpperCase();
  define(`cmov${hex}`, (x, dst, src) => {
    // The source is read, and may fault, whatever the condition says.
    const value = x.read(src);
    x.write(dst, x.select(x.condition(condition), value, x.read(dst)));
  });
  row(`cmov${hex}`, "Gv,Ev", `0F 4${hex}`);
  define(`set${hex}`, (x, dst) => x.write(dst, x.zeroExtend(x.condition(condition), 8)));
  row(`set${hex}`, "Eb", `0F 9${hex}`);
  define(`j${hex}`, (x, target) => {
    x.when(x.condition(condition), () => {
      x.requireRelative(target);
      x.jumpRelative(target);
    });
  }, { branch: true });
  row(`j${hex}`, "Jb", `7${hex}`, { size64: "forced" });
  row(`j${hex}`, "Jz", `0F 8${hex}`, { size64: "forced" });
}

// The stack.

define("push", (x, src) => {
  const value = x.read(src);
  x.push(src.kind === "immediate" ? value : x.bind(value));
}, { stack: true });
row("push", "Zv", "50", { size64: "default" });
row("push", "Ev", "FF /6", { size64: "default" });
row("push", "Iz", "68", { size64: "default" });
row("push", "Ibs", "6A", { size64: "default" });

define("pop", (x, dst) => {
  const bytes = dst.width / 8;
  const value = x.bind(x.top(dst.width));
  if (dst.kind === "memory") {
    // An operand that names rSP sees it already moved; a faulting write must undo that.
    x.release(bytes);
    x.undoStackOnFault(bytes, () => x.write(dst, value));
  } else {
    x.release(bytes);
    x.write(dst, value);
  }
}, { stack: true });
row("pop", "Zv", "58", { size64: "default" });
row("pop", "Ev", "8F /0", { size64: "default" });

define("pusha", (x) => {
  const width = x.operandWidth;
  const order = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  x.pushMany(order.map((number) => x.register(number, width)));
}, { stack: true, cold: true });
define("popa", (x) => {
  const width = x.operandWidth;
  const bytes = width / 8;
  const order = [7, 6, 5, 4, 3, 2, 1, 0] as const;
  const values = order.map((_, index) => x.bind(x.top(width, index * bytes)));
  x.release(8 * bytes);
  for (const [index, number] of order.entries()) {
    const value = values[index];
    if (number !== rsp && value !== undefined) {
      x.setRegister(number, value);
    }
  }
}, { stack: true, cold: true });
row("pusha", "", "60", { modes: "legacy" });
row("popa", "", "61", { modes: "legacy" });

define("leave", (x) => {
  const width = x.operandWidth;
  const value = x.bind(x.topAt(x.register(rbp, x.stackWidth()), width));
  x.setRegister(rsp, x.register(rbp, x.stackWidth()));
  x.release(width / 8);
  x.setRegister(rbp, value);
}, { stack: true });
row("leave", "", "C9", { size64: "default" });
defineHelpers("enter");
row("enter", "Iw,Ib", "C8", { size64: "default" });

// Segment registers and far pointers belong to the system room.
defineHelpers("mov.from.segment", "mov.to.segment", "push.segment", "pop.segment", "load.far");
row("mov.from.segment", "Ev,Sw", "8C /r");
row("mov.to.segment", "Sw,Ew", "8E /r");
for (const [opcode, modes] of [["06", 1], ["0E", 1], ["16", 1], ["1E", 1]] as const) {
  row("push.segment", "", opcode, modes === 1 ? { modes: "legacy" } : {});
}
for (const opcode of ["07", "17", "1F"]) {
  row("pop.segment", "", opcode, { modes: "legacy" });
}
for (const opcode of ["A0", "A8"]) {
  row("push.segment", "", `0F ${opcode}`, { size64: "default" });
}
for (const opcode of ["A1", "A9"]) {
  row("pop.segment", "", `0F ${opcode}`, { size64: "default" });
}
row("load.far", "Gv,M", "C4 mem", { modes: "legacy" });
row("load.far", "Gv,M", "C5 mem", { modes: "legacy" });
for (const opcode of ["B2", "B4", "B5"]) {
  row("load.far", "Gv,M", `0F ${opcode} mem`);
}

define("movnti", (x, dst, src) => x.write(dst, x.read(src)));
row("movnti", "My,Gy", "np 0F C3");
define("movbe", (x, dst, src) => {
  const value = x.read(src);
  x.write(dst, value.width === 16 ? x.rotateLeft(value, x.constant(32, 8)) : reversed(x, value));
}, { cold: true });
row("movbe", "Gv,Mv", "nfx 0F 38 F0", { feature: "movbe" });
row("movbe", "Mv,Gv", "nfx 0F 38 F1", { feature: "movbe" });
