/** REP MOVS and REP STOS as one copy or fill of memory, a page at a time. */
import { rcx, rdi, rsi, type SemanticsBuilder } from "../isa/builder.ts";
import type { StringForm } from "../isa/strings.ts";
import { clean, Value } from "../isa/value.ts";
import { tlbArrayBytes } from "../layout.ts";
import { i32, i64, load, op, select, type Node } from "../wasm/code.ts";

/** Does as many elements as possible; `tlb` is the address of the TLB set. */
export function bulkString(
  x: SemanticsBuilder, tlb: Node, kind: "movs" | "stos", form: StringForm,
): void {
  const { code } = x;
  code.if(op("i32.eqz", x.directionDown().node), () => {
    const target = code.bind(x.stringTarget(form, true).node);
    const targetHost = peek(x, tlb, target, true);
    code.if(targetHost, () => {
      if (kind === "movs") {
        move(x, tlb, form, target, targetHost);
      } else {
        fill(x, form, target, targetHost);
      }
    });
  }, undefined, true);
}

/** Host address if the whole element is in a TLB page, else 0; never faults. */
function peek(x: SemanticsBuilder, tlb: Node, linear: Node, write: boolean): Node {
  const { code } = x;
  const array = write ? tlbArrayBytes : 0;
  const index = op("i32.and", op("i32.wrap_i64", op("i64.shr_u", linear, i64(8))),
    i32(tlbArrayBytes - 16));
  const slot = code.bind(op("i32.add", index, tlb));
  const hit = op("i64.lt_u", op("i64.xor", load("i64.load", slot, array), linear), i64(4096));
  const host = op("i32.add", load("i32.load", slot, array + 8), op("i32.wrap_i64", linear));
  return code.bind(select(hit, host, i32(0)));
}

/** Whole elements from `linear` to the end of its page, at most `count`. */
function elementsInPage(form: StringForm, linear: Node, count: Node): Node {
  const left = op("i64.sub", i64(4096), op("i64.and", linear, i64(4095)));
  const whole = op("i64.shr_u", left, i64(Math.log2(form.width / 8)));
  return select(op("i64.lt_u", whole, count), whole, count);
}

function move(
  x: SemanticsBuilder, tlb: Node, form: StringForm, target: Node, targetHost: Node,
): void {
  const { code } = x;
  const source = code.bind(x.stringSource(form).node);
  const sourceHost = peek(x, tlb, source, false);
  code.if(sourceHost, () => {
    const count = code.bind(elementsInPage(form, source,
      elementsInPage(form, target, x.register(rcx, 64).node)));
    const bytes = code.bind(op("i32.mul", op("i32.wrap_i64", count), i32(form.width / 8)));
    // A target just above the source repeats a pattern; memory.copy would not.
    const gap = op("i32.sub", targetHost, sourceHost);
    code.if(op("i32.and", op("i32.ge_u", gap, bytes), op("i64.gt_u", count, i64(1))), () => {
      code.copy(targetHost, sourceHost, bytes);
      advance(x, count, bytes, [rsi, rdi]);
    });
  });
}

function fill(x: SemanticsBuilder, form: StringForm, target: Node, targetHost: Node): void {
  const { code } = x;
  const value = x.register(0, form.width);
  const byte = op("i32.and", form.width === 64
    ? op("i32.wrap_i64", value.node) : value.node, i32(0xff));
  const uniform = form.width === 8 ? i32(1) : form.width === 64
    ? op("i64.eq", value.node, op("i64.mul", op("i64.extend_i32_u", byte),
      i64(0x0101_0101_0101_0101n)))
    : op("i32.eq", clean(value), op("i32.mul", byte, i32(form.width === 16 ? 0x101
      : 0x0101_0101)));
  const count = code.bind(elementsInPage(form, target, x.register(rcx, 64).node));
  code.if(op("i32.and", uniform, op("i64.gt_u", count, i64(1))), () => {
    const bytes = code.bind(op("i32.mul", op("i32.wrap_i64", count), i32(form.width / 8)));
    code.fill(targetHost, byte, bytes);
    advance(x, count, bytes, [rdi]);
  });
}

function advance(
  x: SemanticsBuilder, count: Node, bytes: Node, pointers: readonly (6 | 7)[],
): void {
  const step = new Value(op("i64.extend_i32_u", bytes), 64, true);
  for (const register of pointers) {
    x.setRegister(register, x.add(x.register(register, 64), step));
  }
  x.setRegister(rcx, x.sub(x.register(rcx, 64), new Value(count, 64, true)));
}
