// Sets everything up, then runs every test file in a process of its own.
// Ends with the line `N passed, N failed, N skipped`.
import { spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { compile, installPackages, root } from "./build.mjs";

const fileLimitMs = 600_000; // The whole-machine tests boot a kernel; nothing else comes near.
const parallel = 2;

const say = (message) => console.log(`== ${message}`);

function testFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith(".test.js") ? [path] : [];
  });
}

/** Runs one file; resolves to its counts. A file that runs no test has failed. */
function runFile(path) {
  return new Promise((resolve) => {
    const started = Date.now();
    const child = spawn(process.execPath, ["--enable-source-maps", path], {
      cwd: root, stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (bytes) => { output += bytes; });
    child.stderr.on("data", (bytes) => { output += bytes; });
    const timer = setTimeout(() => child.kill("SIGKILL"), fileLimitMs);
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ output, seconds: (Date.now() - started) / 1000, ...count(output, status, signal) });
    });
  });
}

function count(output, status, signal) {
  const number = (label) => Number(new RegExp(`^\\s*${label}:\\s+(\\d+)`, "m").exec(output)?.[1] ?? 0);
  const total = number("Total");
  const passed = number("Passed");
  const skipped = number("Skipped");
  const broken = signal !== null || (status !== 0 && total === passed) || total + skipped === 0;
  const why = signal ? `ended by ${signal}` : total + skipped === 0 ? "ran no test" : "";
  return { passed, skipped, failed: total - passed + (broken ? 1 : 0), why };
}

function setUp() {
  if (process.getuid?.() === 0) {
    say("Debian packages");
    const result = spawnSync("sh", [join(root, "scripts", "debian-packages.sh")], { stdio: "inherit" });
    if (result.status !== 0) say("some Debian packages could not be installed; their tests will skip");
  }
  installPackages(say);
  compile(say);
  say("native addon");
  const addon = spawnSync(process.execPath, [join(root, "scripts", "build-addon.mjs")],
    { stdio: ["ignore", "ignore", "inherit"] });
  if (addon.status !== 0) say("the native addon could not be built; its tests will skip");
}

async function main() {
  setUp();
  const wanted = process.argv.slice(2);
  const files = testFiles(join(root, "dist", "test"))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    // Whole machines first: they take longest, and the small files fill the other core meanwhile.
    .sort((a, b) => Number(b.includes("/machine/")) - Number(a.includes("/machine/")));
  const sum = { passed: 0, failed: 0, skipped: 0 };
  const next = async () => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      const result = await runFile(file);
      for (const key of Object.keys(sum)) sum[key] += result[key];
      const name = relative(join(root, "dist", "test"), file);
      const bad = result.failed > 0;
      console.log(`${bad ? "FAIL" : "ok  "} ${name} (${result.passed} tests, ${result.seconds.toFixed(1)} s)`
        + (result.why ? `: ${result.why}` : ""));
      for (const line of result.output.match(/^skipped: .*$/gm) ?? []) console.log(`     ${line}`);
      if (bad) console.log(result.output.replace(/^/gm, "     "));
    }
  };
  await Promise.all(Array.from({ length: parallel }, next));
  console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
}

await main();
