/** Started by scripts/test-oracle.mjs: `--seconds n --seed n --cases n` (the most
 * programs); status 1 unless all of it passed. */
import { parseArgs } from "node:util";
import { runRandomCode } from "./random-code.ts";

const { values } = parseArgs({ options: {
  seconds: { type: "string", default: "180" }, seed: { type: "string", default: "24301" },
  cases: { type: "string", default: "Infinity" },
} });
const seconds = Number(values.seconds), seed = Number(values.seed);

process.exitCode = 1; // Whatever ends the process before its time.
console.log(`random code at CPL 0 for ${seconds} s, seed ${seed}`);
const { programs, decoded, regions } = runRandomCode(seconds, seed, Number(values.cases));
console.log(`${programs} programs, ${decoded} instructions decoded, ${regions} regions`);
process.exitCode = programs > 0 && decoded > 0 && regions > 0 ? 0 : 1;
