/** Started by scripts/test-oracle.mjs: `--cases n --seed n`. */
import { parseArgs } from "node:util";
import { compareForms, compareRandom, newTally, report } from "./run.ts";

const { values } = parseArgs({ options: {
  cases: { type: "string", default: "10000000" }, seed: { type: "string", default: "24301" },
} });
const cases = Number(values.cases), seed = Number(values.seed);

console.log(`decoder against iced-x86: ${cases} random byte strings and all forms, seed ${seed}`);
const random = newTally();
compareRandom(cases, seed, random);
console.log(`random bytes: ${report(random)}`);
const forms = newTally();
compareForms(1, seed, forms);
console.log(`forms of all rows: ${report(forms)}`);
process.exitCode = random.differ + forms.differ > 0 ? 1 : 0;
