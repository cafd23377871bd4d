/** The interpreter that the build has generated, beside the compiled sources: a vCPU starts half a
 * second earlier with it. Whoever compiles anew without it gets a new one at each start. */
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateInterpreter, type GeneratedInterpreter } from
  "../../cpu/interpreter/generate.ts";
import { restoreInterpreter, storeInterpreter } from "../../cpu/interpreter/stored.ts";

const cpuFolder = join(fileURLToPath(import.meta.url), "..", "..", "..", "cpu");

function pathsOf(countsBranches: boolean): { module: string; text: string } {
  const stem = join(cpuFolder, countsBranches ? "interpreter-counting" : "interpreter-plain");
  return { module: `${stem}.wasm`, text: `${stem}.json` };
}

/** When the code that generates was compiled last. */
function newestSourceMs(): number {
  let newest = 0;
  for (const path of readdirSync(cpuFolder, { recursive: true, encoding: "utf8" })) {
    if (path.endsWith(".js")) {
      newest = Math.max(newest, statSync(join(cpuFolder, path)).mtimeMs);
    }
  }
  return newest;
}

/** Undefined where there is none that belongs to this code. */
export function storedInterpreter(countsBranches: boolean): GeneratedInterpreter | undefined {
  const { module, text } = pathsOf(countsBranches);
  try {
    if (statSync(module).mtimeMs < newestSourceMs()) {
      return undefined;
    }
    return restoreInterpreter({
      bytes: new Uint8Array(readFileSync(module)), text: readFileSync(text, "utf8"),
    });
  } catch {
    return undefined; // Not built here; it is generated then.
  }
}

/** Run by the build. */
export function writeInterpreters(): void {
  for (const countsBranches of [false, true]) {
    const stored = storeInterpreter(generateInterpreter(countsBranches));
    const { module, text } = pathsOf(countsBranches);
    writeFileSync(text, stored.text);
    writeFileSync(module, stored.bytes);
  }
}
