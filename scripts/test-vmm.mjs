// npm run test:vmm: Debian's kernel through a fake of each version of FreeBSD's /dev/vmm.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { compile, installPackages, root } from "./build.mjs";

const say = (message) => console.log(`== ${message}`);
installPackages(say);
compile(say);
const run = (...words) =>
  spawnSync(process.execPath, words, { cwd: root, stdio: "inherit" }).status ?? 1;
process.exitCode = run(join(root, "scripts", "build-addon.mjs"))
  || run("--enable-source-maps", join(root, "dist", "test", "vmm", "freebsd", "fake", "debian.js"));
