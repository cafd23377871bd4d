import { assert, seed, skipTest, test } from "../../support/harness.ts";
import { caseCount, nativeFpu } from "../float/native.ts";
import { allInstructions, differences, nameOf } from "./cases.ts";

const native = nativeFpu();
const transcendental = new Set([0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff]);

if (typeof native === "string") {
  skipTest("x87 instructions agree with the processor of the host", native);
} else {
  const filter = process.env["FORMS"];
  const list = allInstructions().filter((instruction) =>
    (instruction.opcode !== 0xd9 || !transcendental.has(instruction.modrm))
    && (filter === undefined || nameOf(instruction).startsWith(filter)));
  test("x87 instructions agree with the processor of the host", () => {
    assert.deepEqual(differences(native, list, caseCount(100_000)), [], `seed ${seed}`);
  });
}
