/** Many cases on both processors. */
import { rows } from "../../../src/cpu/isa/table.ts";
import { allFeatures } from "../../../src/cpu/system/features.ts";
import { randomSource } from "../../support/random.ts";
import { makeBatch, type Batch } from "./cases.ts";
import { differences, type Difference } from "./compare.ts";
import { hostFeatures, nativeRows } from "./forms.ts";
import type { NativeHost } from "./host.ts";
import { InterpreterDriver } from "./interpreter-driver.ts";
import { at, noVector, options, slotCount, type CodeBits } from "./layout.ts";
import { listenToSemantics } from "./open-flags.ts";

const shownMax = 40;

export interface Outcome {
  cases: number;
  differ: number;
  /** By instruction and what differs: how many, and the first in full. */
  readonly kinds: Map<string, { count: number; first: string }>;
  /** Cases that ended in an exception. */
  faults: number;
  /** Regions that were compiled for them. */
  regions: number;
}

export interface Request {
  readonly cases: number;
  readonly seed: number;
  readonly float: boolean;
  /** 64-bit code, or 32-bit or 16-bit code in compatibility mode. */
  readonly bits: CodeBits;
  /** Only these instructions, if any are named. */
  readonly only?: readonly string[];
  /** As compiled code instead of in the interpreter. */
  readonly compiled?: boolean;
}

const drivers = new Map<boolean, InterpreterDriver>();

function driverFor(compiled: boolean): InterpreterDriver {
  const driver = drivers.get(compiled)
    ?? listenToSemantics(() => new InterpreterDriver(compiled));
  drivers.set(compiled, driver);
  return driver;
}
const comparable = hostFeatures(allFeatures);

/** Features whose instructions the host's processor cannot check. */
export const missingFeatures = [...allFeatures].filter((name) => !comparable.has(name)
  && rows.some(({ options }) => options.feature === name));

export async function compareWithHost(host: NativeHost, request: Request): Promise<Outcome> {
  const driver = driverFor(request.compiled ?? false);
  const random = randomSource(request.seed);
  const { only } = request;
  const groups = nativeRows(comparable, request.float, request.bits).filter((group) =>
    only === undefined || only.includes(group[0]?.mnemonic ?? ""));
  const outcome: Outcome = { cases: 0, differ: 0, kinds: new Map(), faults: 0, regions: 0 };
  const regionsBefore = driver.regionsCompiled;
  while (outcome.cases < request.cases && groups.length > 0) {
    const batch = makeBatch(groups, slotCount, request, random);
    // The host works on its core meanwhile.
    const native = host.run(batch.bytes);
    const ours = driver.run(batch);
    outcome.faults += countFaults(batch, ours);
    for (const each of differences(batch, await native, ours)) {
      note(outcome, each);
    }
    outcome.cases += batch.cases.length;
  }
  outcome.regions = driver.regionsCompiled - regionsBefore;
  return outcome;
}

/** Cases that met an exception other than the HLT that ends branches. */
function countFaults(batch: Batch, answer: Uint8Array): number {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
  let count = 0;
  for (let base = 0; base < answer.length; base += batch.recordBytes) {
    const stops = (view.getUint32(base + at.options, true) & options.stopAtOnce) !== 0;
    count += !stops && view.getUint32(base + at.vector, true) !== noVector ? 1 : 0;
  }
  return count;
}

function note(outcome: Outcome, { mnemonic, what, text }: Difference): void {
  outcome.differ += 1;
  const key = `${mnemonic}: ${what}`;
  const kind = outcome.kinds.get(key);
  if (kind === undefined) {
    outcome.kinds.set(key, { count: 1, first: text });
  } else {
    kind.count += 1;
  }
}

/** Instructions of the table that the comparison runs, for the curious. */
export function comparedMnemonics(): { compared: string[]; all: string[] } {
  const compared = [false, true].flatMap((float) => ([16, 32, 64] as const)
    .flatMap((bits) => nativeRows(comparable, float, bits)))
    .map((group) => group[0]?.mnemonic ?? "");
  return { compared: [...new Set(compared)], all: [...new Set(rows.map((row) => row.mnemonic))] };
}

export function report(outcome: Outcome): string {
  const kinds = [...outcome.kinds].sort(([, a], [, b]) => b.count - a.count);
  return [
    `${outcome.cases} cases, ${outcome.differ} differ`,
    ...kinds.slice(0, shownMax).map(([kind, { count, first }]) => `${count} x ${kind}\n${first}`),
  ].join("\n");
}
