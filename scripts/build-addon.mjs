// npm run build:addon [-- --prebuild]: compiles the native addon with one line for the C compiler,
// without gyp. The result is build/Release/tsbhyve.node, or the prebuilt binary of this platform.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { installPackages, root } from "./build.mjs";

/** What gyp calls this system, and how the C++ library is linked: into the addon where it can be,
 * so that one binary serves every distribution. */
const { system, linkedTo } = {
  linux: { system: "linux", linkedTo: ["-Wl,-Bstatic", "-lstdc++", "-Wl,-Bdynamic", "-lm"] },
  freebsd: { system: "freebsd", linkedTo: ["-lc++"] },
  sunos: { system: "solaris", linkedTo: ["-lstdc++"] },
}[process.platform] ?? {};

/** What binding.gyp lists for this platform, so that it is listed once. */
function target() {
  const { targets: [all] } = JSON.parse(readFileSync(join(root, "binding.gyp"), "utf8"));
  const here = all.conditions.find(([when]) => when === `OS=='${system}'`)?.[1];
  if (here === undefined) throw new Error(`binding.gyp has no sources for ${process.platform}`);
  return { ...all, sources: [...all.sources, ...here.sources], libraries: here.libraries ?? [] };
}

/** One line for the C compiler, which tells C from C++ by the names of the files. */
function commandLine(output) {
  const require = createRequire(import.meta.url);
  const { sources, cflags, defines, libraries } = target();
  const includes = [require("node-addon-api").include_dir,
    require("node-api-headers").include_dir].map((folder) => `-I${folder.replaceAll("\"", "")}`);
  return [...cflags, "-shared", "-fPIC", "-s", "-pthread", ...includes,
    ...defines.map((each) => `-D${each}`), "-o", output, ...sources, ...libraries,
    "-static-libgcc", ...linkedTo];
}

const prebuild = process.argv.includes("--prebuild");
const output = prebuild
  ? join(root, "prebuilds", `${process.platform}-${process.arch}`, "tsbhyve.node")
  : join(root, "build", "Release", "tsbhyve.node");
installPackages((message) => console.log(`== ${message}`));
mkdirSync(dirname(output), { recursive: true });
const compiler = process.env.CC ?? "cc";
const fresh = `${output}.${process.pid}`; // A program may have the old one mapped.
const result = spawnSync(compiler, commandLine(fresh), { cwd: root, stdio: "inherit" });
if (result.status !== 0) {
  const cause = result.error?.message ?? `status ${result.status}`;
  console.error(`${compiler} failed (${cause}); a C and C++ compiler is needed, for example Debian's g++`);
  process.exit(1);
}
renameSync(fresh, output);
console.log(output);
