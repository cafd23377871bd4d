// npm run bench [-- NAME ...]: compiles, then runs the benchmarks whose names are given, or all.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { compile, installPackages, root } from "./build.mjs";

const say = (message) => console.log(`== ${message}`);
installPackages(say);
compile(say);

const folder = join(root, "dist", "bench");
const support = new Set(["qemu"]);
const known = existsSync(folder)
  ? readdirSync(folder).filter((name) => name.endsWith(".js")).map((name) => name.slice(0, -3))
    .filter((name) => !support.has(name))
  : [];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`no such benchmark: ${unknown.join(", ")}; there are: ${known.join(", ")}`);
  process.exit(1);
}
let status = 0;
for (const name of wanted.length > 0 ? wanted : known) {
  say(name);
  const flags = name === "virtqueue" ? ["--expose-gc"] : [];
  const result = spawnSync(process.execPath, [...flags, "--enable-source-maps",
    join(folder, `${name}.js`)], { cwd: root, stdio: "inherit" });
  status = status || (result.status ?? 1);
}
process.exitCode = status;
