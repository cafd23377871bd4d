// npm run test:nested: KVM in a Debian guest that QEMU emulates, with this program inside.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { compile, installPackages, root } from "./build.mjs";

const say = (message) => console.log(`== ${message}`);
installPackages(say);
compile(say);
const run = (...words) =>
  spawnSync(process.execPath, words, { cwd: root, stdio: "inherit" }).status ?? 1;
process.exitCode = run(join(root, "scripts", "build-addon.mjs"))
  || run("--enable-source-maps", join(root, "dist", "test", "machine", "nested", "run.js"));
