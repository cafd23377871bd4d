import { join } from "node:path";
import { readWholeFile } from "../../src/host/files.ts";
import { builtinExpectation, builtinMachine } from "../../src/runner/guests.ts";
import { answerSector, sectorBytes } from "../../src/runner/builtin/marker.ts";
import { CheckWatch } from "../../src/runner/check-watch.ts";
import { machineWords } from "../../src/runner/machine-line.ts";
import { runWatched } from "../../src/runner/machine-process.ts";
import { testFolder } from "../support/folder.ts";
import { assert, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const folder = testFolder();
const limitMs = 120_000;

/** Runs tsbhyve as a user does; returns its status and what the guest printed. */
async function run(words: readonly string[]) {
  let output = "";
  let errors = "";
  const program = [process.execPath, join(repositoryRoot, "bin", "tsbhyve.mjs"), ...words];
  const end = await runWatched(program, {
    limitMs,
    onOutput: (text) => { output += text; },
    onErrors: (text) => { errors += text; },
  });
  return { ...end, output, errors };
}

test("the built-in guest tests its disk and powers off", async () => {
  const nonce = "00112233aabbccdd";
  const machine = builtinMachine(folder.path, nonce);
  const { status, why, output, errors } = await run(machineWords(machine));
  assert.equal(status, 1, why + output + errors);
  assert.match(output, /^tsbhyve built-in guest: long mode, 64 bits\.\r?$/m);
  const watch = new CheckWatch(builtinExpectation(nonce));
  watch.take(output);
  assert.equal(watch.verdict.kind, "passed", output);
  const disk = readWholeFile(machine.diskPath);
  assert.deepEqual(disk.subarray(sectorBytes, 2 * sectorBytes),
    Buffer.from(answerSector(nonce)), "the host's file has what the guest wrote");
});

test("the built-in guest says what is wrong with a disk", async () => {
  const blank = folder.put("blank", new Uint8Array(1024 * 1024));
  const machine = { ...builtinMachine(folder.path, "0000000000000000"), diskPath: blank };
  const { status, output, errors } = await run(machineWords(machine));
  assert.equal(status, 1, output + errors);
  assert.match(output, /^tsbhyve-check: FAIL sector 0 has another mark\r?$/m);
});
