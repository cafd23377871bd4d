// Long comparisons of the vCPU with other implementations: `npm run test:oracle`, or one of them:
// `npm run test:oracle -- native --cases 10000000 --seed 7`.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { compile, installPackages, root } from "./build.mjs";

const say = (message) => console.log(`== ${message}`);

/** Each prints its seed and what differs, and exits 1 if anything does. */
const oracles = {
  decoder: join("test", "cpu", "decoder", "long-run.js"),
  native: join("test", "cpu", "native", "long-run.js"),
  random: join("test", "cpu", "system", "random-long-run.js"),
  regions: join("test", "cpu", "jit", "long-run.js"),
};

const [first, ...rest] = process.argv.slice(2);
const named = first !== undefined && !first.startsWith("-");
if (named && !Object.hasOwn(oracles, first)) {
  console.error(`no oracle is called ${first}; there are: ${Object.keys(oracles).join(", ")}`);
  process.exit(2);
}
installPackages(say);
compile(say);
for (const name of named ? [first] : Object.keys(oracles)) {
  say(name);
  const program = join(root, "dist", oracles[name]);
  const result = spawnSync(process.execPath,
    ["--enable-source-maps", program, ...(named ? rest : process.argv.slice(2))],
    { cwd: root, stdio: "inherit" });
  if (result.status !== 0) process.exitCode = 1;
}
