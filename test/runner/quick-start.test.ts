import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  listFolder, lockFile, makeFolder, removeAbandonedFolders, temporaryFolder, writeWholeFile,
} from "../../src/host/folders.ts";
import { CheckWatch } from "../../src/runner/check-watch.ts";
import { linuxExpectation } from "../../src/runner/guests.ts";
import { machineWords, shellLine } from "../../src/runner/machine-line.ts";
import { quickStart, type Surroundings } from "../../src/runner/quick-start.ts";
import { stagesOn } from "../../src/runner/stages.ts";
import { readStartOptions } from "../../src/runner/start-options.ts";
import { testFolder } from "../support/folder.ts";
import { assert, test } from "../support/harness.ts";

const expected = { nonce: "00112233", sum: "abcdef" };
const folder = testFolder();

test("only the guest's own line with our nonce and the right sum passes", () => {
  const verdictOf = (...pieces: readonly string[]) => {
    const watch = new CheckWatch(expected);
    pieces.forEach((piece) => watch.take(piece));
    return watch.verdict.kind;
  };
  assert.equal(verdictOf("noise\r\ntsbhyve-check: PASS 001122", "33 abcdef\r\nmore"), "passed");
  assert.equal(verdictOf("tsbhyve-check: PASS 00112233 abcdef"), "none", "the line must end");
  assert.equal(verdictOf("tsbhyve-check: PASS 44556677 abcdef\n"), "failed");
  assert.equal(verdictOf("tsbhyve-check: PASS 00112233 123456\n"), "failed");
  assert.equal(verdictOf("tsbhyve-check: PASS\n"), "failed");
  assert.equal(verdictOf("tsbhyve-check: FAIL 00112233 writing\n"), "failed");
  assert.equal(verdictOf("tsbhyve.check=00112233\n"), "none");
  assert.equal(verdictOf("tsbhyve-check: FAIL 00112233 x\ntsbhyve-check: PASS 00112233 abcdef\n"),
    "failed", "a failure stays one");
});

test("a guest that prints without end is remembered by its last lines only", () => {
  const watch = new CheckWatch(expected);
  for (let line = 0; line < 1000; line++) {
    watch.take(`line ${line}\n`);
  }
  watch.take("x".repeat(100_000));
  const last = watch.lastLines();
  assert.equal(last[0], "line 980");
  assert.equal(last.at(-1)?.length, 4096);
});

test("the sum that Linux must report is that of what check.sh writes", () => {
  const { sum } = linuxExpectation("abcd12");
  // Computed by the script itself, in a guest on another emulator.
  assert.equal(sum, "f28b630d1ee27f6346c327847a6d43cbcb2af83ae02bc5039ada37f01e8fa779");
  const whole = "abcd12\n".repeat(40_000).slice(0, 262_144);
  assert.equal(sum, createHash("sha256").update(whole).digest("hex"));
});

test("the command line survives a shell, and values survive expansion", () => {
  const words = machineWords({
    kernelPath: "/a b/it's", initrdPath: "/100%/x", kernelLine: "console=ttyS0 a=b", diskPath: "/d",
    memory: "256M",
  });
  assert.equal(words.includes("boot.initrd=/100\\%/x"), true);
  const line = shellLine(words);
  assert.match(line, /-o 'boot.kernel=\/a b\/it'\\''s' /);
  assert.match(line, /-o 'boot.cmdline=console=ttyS0 a=b' /);
  assert.match(line, /-o pci.0.3.0.path=\/d /);
});

test("an unknown word is an error that names what is meant", () => {
  assert.equal(readStartOptions(["--check", "--update"]).check, true);
  assert.throws(() => readStartOptions(["--chekc", "now"]),
    (error: Error) => /--chekc: .*did you mean --check\?/.test(error.message)
      && /^now: is no option/m.test(error.message));
});

test("a lock is had by one process at a time, and not by one that is gone", () => {
  const path = folder.file("lock");
  assert.equal(lockFile(path), true);
  assert.equal(lockFile(path), false);
  writeWholeFile(folder.file("stale"), "999999999\n");
  assert.equal(lockFile(folder.file("stale")), true);
});

test("temporary folders of killed processes are removed, those of running ones stay", () => {
  const parent = folder.file("temporaries");
  const mine = temporaryFolder(parent, "start-");
  const parentNames = listFolder(parent);
  makeFolder(join(parent, "start-999999999-AbCdEf"));
  makeFolder(join(parent, "debian"));
  removeAbandonedFolders(parent);
  assert.deepEqual(listFolder(parent), ["debian", ...parentNames]);
  mine.remove();
  assert.deepEqual(listFolder(parent), ["debian"]);
});

interface Started {
  readonly status: number;
  readonly said: string;
  readonly left: readonly string[];
}

let starts = 0;

/** `npm start` with a machine that is a line of JavaScript; it finds its words in `words`. */
async function start(argv: readonly string[], machine: string, limitMs = 20_000): Promise<Started> {
  starts += 1;
  const cache = folder.file(`cache-${starts}`);
  let said = "";
  const write = (text: string) => { said += text; };
  const program = `const words = process.argv.slice(1); ${helper} ${machine}`;
  const surroundings: Surroundings = {
    cache,
    output: { write }, errors: { write },
    stages: stagesOn({ write }),
    say: (line) => write(`${line}\n`),
    terminal: undefined,
    hostArchitecture: "x64",
    run: async () => ({ status: undefined, output: "", errors: "ENOENT" }),
    program: [process.execPath, "-e", program, "--"],
    programShown: ["node", "bin/tsbhyve.mjs"],
    checkLimitMs: limitMs,
  };
  const status = await quickStart(argv, surroundings);
  return { status, said, left: listFolder(cache) };
}

/** What the fake machines share: the nonce on the disk that they are given. */
const helper = `
const path = words.find((word) => word.startsWith("pci.0.3.0.path=")).slice(15);
const nonce = require("fs").readFileSync(path).toString("latin1", 16, 32);
`;

const importMarker = JSON.stringify(new URL("../../src/runner/builtin/marker.js", import.meta.url));
const passing = (status: number) => `
import(${importMarker}).then(({ fnvText, answerSector }) => {
  console.log("tsbhyve-check: PASS " + nonce + " " + fnvText(answerSector(nonce)));
  process.exitCode = ${status};
});`;

test("without apt, the reason is said, the command shown, the built-in guest checked", async () => {
  const { status, said, left } = await start(["--check"], passing(1));
  assert.equal(status, 0, said);
  assert.match(said, /^== Debian's kernel cannot be had: this host has no apt-get$/m);
  assert.match(said, /^node bin\/tsbhyve\.mjs -o memory\.size=64M .* quick-start$/m);
  assert.match(said, /^The check passed: .* with status 1 \(powered off\)\.$/m);
  assert.deepEqual(left, ["apt"], "guest and disk were temporary");
});

test("a check fails without the guest's result, and shows the last lines", async () => {
  for (const [machine, why] of [
    [`console.log("booting"); process.exitCode = 1;`, /no result from the guest; .* status 1/],
    [`console.log("booting"); process.exitCode = 4;`, /status 4 \(tsbhyve could not run it\)/],
    [`console.log("booting"); process.kill(process.pid, "SIGKILL");`, /ended: SIGKILL ended it/],
    [`console.log("booting\\ntsbhyve-check: FAIL bad disk");`, /failed: the guest says: bad disk/],
    [`console.log("booting\\ntsbhyve-check: PASS 0123 4567");`, /passed a check 0123, not ours/],
    [`console.log("booting\\ntsbhyve-check: PASS " + nonce + " 00000000");`, /read back 00000000/],
    [`console.log("booting");${passing(3)}`, /did not power off; .*status 3/],
  ] as const) {
    const { status, said, left } = await start(["--check", "--builtin"], machine);
    assert.equal(status, 1, said);
    assert.match(said, why);
    assert.match(said, /^ {2}booting$/m);
    assert.deepEqual(left, []);
  }
});

test("a guest that hangs and ignores the power button is ended all the same", async () => {
  const hanging = `process.on("SIGTERM", () => {});
    console.log("stuck"); setInterval(() => {}, 1e6);`;
  const { status, said, left } = await start(["--check", "--builtin"], hanging, 500);
  assert.equal(status, 1);
  assert.match(said, /did not end within 0\.5 seconds/);
  assert.match(said, /^ {2}stuck$/m);
  assert.deepEqual(left, []);
});

test("a machine that cannot be started is a failed check", async () => {
  const cache = folder.file("no-program");
  makeFolder(cache);
  let said = "";
  const write = (text: string) => { said += text; };
  const status = await quickStart(["--check", "--builtin"], {
    cache, output: { write }, errors: { write }, stages: stagesOn({ write }),
    say: (line) => write(`${line}\n`), terminal: undefined, hostArchitecture: "x64",
    run: async () => ({ status: undefined, output: "", errors: "" }),
    program: [join(cache, "missing")], programShown: ["missing"], checkLimitMs: 1000,
  });
  assert.equal(status, 1);
  assert.match(said, /could not be started: .*ENOENT/);
  assert.match(said, /The guest printed nothing/);
});

test("--prepare makes everything and starts nothing", async () => {
  const { status, said, left } = await start(["--prepare", "--builtin"], "process.exit(9)");
  assert.equal(status, 0);
  assert.match(said, /^kernel=.*builtin-guest\.elf$/m);
  assert.match(said, /^command=node bin\/tsbhyve\.mjs -o /m);
  assert.deepEqual(left, ["builtin-disk.img", "builtin-guest.elf"]);
});
