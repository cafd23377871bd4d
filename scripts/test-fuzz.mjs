// Every reader of descriptions against mutated texts: 200,000 each, or as many as the argument says.
// SEED=n repeats a run.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { compile, installPackages, root } from "./build.mjs";

const count = process.argv[2] ?? "200000";
installPackages(console.log);
compile(console.log);
const { status } = spawnSync(process.execPath,
  ["--enable-source-maps", join(root, "dist", "test", "formats", "fuzz.test.js")],
  { stdio: "inherit", env: { ...process.env, FUZZ: count } });
process.exitCode = status ?? 1;
