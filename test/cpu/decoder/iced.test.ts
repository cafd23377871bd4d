/** Our decoder against iced-x86: a slice; `npm run test:oracle -- decoder` runs millions. */
import { decode } from "../../../src/cpu/decoder/decode.ts";
import { assert, randomSource, seed, test } from "../../support/harness.ts";
import { allFeatures } from "./compare.ts";
import { compareForms, compareRandom, newTally, report, type Tally } from "./run.ts";

function assertAgreement(tally: Tally): void {
  assert.equal(tally.differ, 0, `seed ${seed}\n${report(tally)}`);
}

test("random bytes decode as iced-x86 decodes them", () => {
  const tally = newTally();
  compareRandom(300_000, seed, tally);
  assertAgreement(tally);
  assert.ok(tally.agree > 290_000, `${tally.agree} agree`);
});

test("every row decodes as iced-x86 decodes it, with prefixes and address forms", () => {
  const tally = newTally();
  compareForms(25, seed, tally);
  assertAgreement(tally);
  assert.ok(tally.agree > 300_000, `${tally.agree} agree`);
});

test("an instruction cut short asks for more bytes and is never taken for another", () => {
  const random = randomSource();
  let whole = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Uint8Array.from({ length: 15 }, () => random());
    const mode = { bits: ([16, 32, 64] as const)[round % 3] ?? 64, features: allFeatures };
    const result = decode(bytes, mode);
    if (result.status !== "ok") {
      continue;
    }
    whole += 1;
    for (let length = 0; length < result.instruction.length; length += 1) {
      assert.equal(decode(bytes.subarray(0, length), mode).status, "short",
        `${length} of ${Array.from(bytes).join(" ")}`);
    }
  }
  assert.ok(whole > 10_000, `${whole} instructions`);
});
