/** A slice of the fuzzing; `npm run test:fuzz` does 200,000 mutations for each reader. */
import { formats } from "../../src/formats/registry.ts";
import { assert, seed, test } from "../support/harness.ts";
import { fuzz } from "./fuzz.ts";

const slice = Number(process.env["FUZZ"] ?? 1500);

for (const format of formats) {
  test(`${format.name} reads ${slice} mutated texts or says where they are wrong (seed ${seed})`,
    () => {
      const { read, refused, slowestMs } = fuzz(format, slice, seed);
      if (slice > 10_000) {
        console.log(`${format.name}: ${read} read, ${refused} refused, slowest ${
          slowestMs.toFixed(1)} ms`);
      }
      assert.equal(read + refused, slice);
      assert.ok(refused > 0 && read > 0, "some are refused and some are not");
    });
}
