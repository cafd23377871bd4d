// Installs the npm packages if they are missing or stale, and compiles to dist/.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = join(fileURLToPath(import.meta.url), "..", "..");

function run(command, args, what) {
  const result = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (result.status !== 0) {
    const cause = result.error ? `: ${result.error.message}` : ` (status ${result.status})`;
    throw new Error(`${what} failed${cause}`);
  }
}

function packagesAreCurrent() {
  const marker = join(root, "node_modules", ".package-lock.json");
  return existsSync(marker)
    && statSync(marker).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

/** Installs what package-lock.json names; `say` is told before anything slow starts. */
export function installPackages(say) {
  if (!packagesAreCurrent()) {
    say("installing npm packages");
    run("npm", ["ci", "--no-audit", "--no-fund"], "npm ci");
  }
}

const stamp = join(root, "dist", ".compiled");

/** Nothing that is compiled has changed since: files, and folders, whose time tells of removals. */
function outputIsCurrent() {
  if (!existsSync(stamp)) {
    return false;
  }
  const then = statSync(stamp).mtimeMs;
  const inputs = ["src", "test", "bench"].flatMap((folder) => [folder,
    ...readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name))]);
  return [...inputs, "tsconfig.json", "package-lock.json"]
    .every((name) => statSync(join(root, name)).mtimeMs < then);
}

/** Compiles what has changed. Tests start programs that call this while others read the output. */
export function compile(say) {
  if (outputIsCurrent()) {
    return;
  }
  say("compiling");
  const started = new Date();
  run(process.execPath, [join(root, "node_modules", "typescript", "bin", "tsc"), "-p", root], "tsc");
  // A machine starts half a second earlier when its interpreter has been generated before.
  const file = pathToFileURL(join(root, "dist", "src", "vmm", "software", "interpreter-file.js"));
  run(process.execPath, ["--input-type=module", "-e",
    `(await import("${file.href}")).writeInterpreters()`], "generating the interpreter");
  writeFileSync(stamp, `${started.toISOString()}\n`);
  utimesSync(stamp, started, started); // What changes while it compiles is compiled next time.
}

/** Sets up, builds the addon, and runs one compiled program of tests; its status becomes ours. */
export function runWithAddon(...program) {
  const say = (message) => console.log(`== ${message}`);
  installPackages(say);
  compile(say);
  const node = (...words) =>
    spawnSync(process.execPath, words, { cwd: root, stdio: "inherit" }).status ?? 1;
  process.exitCode = node(join(root, "scripts", "build-addon.mjs"))
    || node("--enable-source-maps", join(root, "dist", "test", ...program));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  compile((message) => console.log(`== ${message}`));
}
