import { assert, seed, skipTest, test } from "../../support/harness.ts";
import { caseCount, nativeFpu } from "../float/native.ts";
import {
  allInstructions, differences, type Instruction, nameOf, nearlySameParts,
} from "./cases.ts";

const native = nativeFpu();
const transcendentals = new Set([0xf0, 0xf1, 0xf2, 0xf3, 0xf9, 0xfb, 0xfe, 0xff]);
const isTranscendental = ({ opcode, modrm }: Instruction) =>
  opcode === 0xd9 && transcendentals.has(modrm);

if (typeof native === "string") {
  skipTest("x87 instructions agree with the processor of the host", native);
} else {
  const filter = process.env["FORMS"];
  const list = allInstructions().filter((instruction) =>
    filter === undefined || nameOf(instruction).startsWith(filter));
  test("x87 instructions agree with the processor of the host", () => {
    const exact = list.filter((instruction) => !isTranscendental(instruction));
    assert.deepEqual(differences(native, exact, caseCount(100_000)), [], `seed ${seed}`);
  });
  test("transcendental instructions agree within one unit in the last place", () => {
    const inexact = list.filter(isTranscendental);
    const found = differences(native, inexact, caseCount(40_000), 20, nearlySameParts);
    assert.deepEqual(found, [], `seed ${seed}`);
  });
}
