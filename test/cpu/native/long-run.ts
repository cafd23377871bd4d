/**
 * Started by scripts/test-oracle.mjs:
 * `--cases n --seed n --kind integer|float --bits 16|32|64 --only add,sub`, and `--compiled` for
 * compiled code (of 64 bits) in place of the interpreter.
 */
import { parseArgs } from "node:util";
import { nativeHost } from "./host.ts";
import { compareWithHost, report } from "./run.ts";

const { values } = parseArgs({ options: {
  cases: { type: "string", default: "10000000" }, seed: { type: "string", default: "24301" },
  kind: { type: "string" }, bits: { type: "string" }, only: { type: "string" },
  compiled: { type: "boolean", default: false },
} });
const cases = Number(values.cases), seed = Number(values.seed);
const kinds = values.kind === undefined ? ["integer", "float"] : [values.kind];
const modes = values.bits === undefined ? [64, 32, 16] as const
  : [values.bits === "16" ? 16 : values.bits === "32" ? 32 : 64] as const;
const only = values.only?.split(",");

async function main(): Promise<number> {
  const host = nativeHost();
  if (typeof host === "string") {
    console.log(`skipped: ${host}`);
    return 0;
  }
  let differ = 0;
  for (const [kind, bits] of kinds.flatMap((each) => modes.map((mode) => [each, mode] as const))) {
    console.log(`${kind} instructions of ${bits}-bit code on the host's processor and on ours: `
      + `${cases} cases, seed ${seed}`);
    const started = Date.now();
    const outcome = await compareWithHost(host, {
      cases, seed, float: kind === "float", bits, compiled: values.compiled,
      ...(only === undefined ? {} : { only }),
    });
    const seconds = (Date.now() - started) / 1000;
    console.log(`${report(outcome)}\n${outcome.faults} ended in an exception; `
      + `${Math.round(outcome.cases / seconds)} cases a second`);
    differ += outcome.differ;
  }
  host.close();
  return differ > 0 ? 1 : 0;
}

process.exitCode = await main();
