/** Machines in folders: real processes, real sockets, a real terminal. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { testFolder } from "../../support/folder.ts";
import { afterAll, assert, skipTest, test } from "../../support/harness.ts";
import { repositoryRoot } from "../../support/paths.ts";
import { echoRom } from "./echo-rom.ts";

const folder = testFolder();
const root = folder.file("vms");
const rom = folder.file("echo.rom");
writeFileSync(rom, echoRom());
const program = join(repositoryRoot, "bin", "tsvm.mjs");
const environment = { ...process.env, TSVM_ROOT: root };

function tsvm(...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...words],
    { encoding: "utf8", env: environment, timeout: 120_000, cwd: folder.path });
  return { status, out: stdout, error: stderr };
}

function ok(...words: string[]): string {
  const { status, out, error } = tsvm(...words);
  assert.equal(status, 0, `${words.join(" ")}: ${error}`);
  return out;
}

afterAll(() => {
  for (const name of existsSync(root) ? readdirSync(root) : []) {
    tsvm("destroy", name, "--force");
  }
});

/** Talks to the serial line of a machine: sends, and waits for what shall come. The line has one
 * visitor at a time, and one who has just left may still stand in the door. */
async function talk(name: string, send: string, wanted: RegExp): Promise<void> {
  let heard = "";
  for (let tries = 0; tries < 100 && !wanted.test(heard); tries += 1) {
    heard = await talkOnce(name, send, wanted);
    await delay(100);
  }
  assert.match(heard, wanted);
}

async function talkOnce(name: string, send: string, wanted: RegExp): Promise<string> {
  const before = process.cwd();
  process.chdir(join(root, name));
  const socket = connect("com1.sock");
  process.chdir(before);
  let heard = "", open = true;
  socket.on("data", (bytes: Buffer) => { heard += bytes.toString("latin1"); });
  socket.on("error", () => {});
  socket.on("close", () => { open = false; });
  socket.write(send);
  for (let waits = 0; waits < 400 && open && !wanted.test(heard); waits += 1) {
    await delay(50);
  }
  socket.destroy();
  return heard;
}

const stateOf = (name: string): { state: string; pid?: number } =>
  JSON.parse(ok("info", name, "--json"));

test("a machine is made, runs in the background, reboots in place, stops and goes", async () => {
  ok("create", "echo", "--rom", rom, "--memory", "16M", "--disk", "1M");
  assert.equal(stateOf("echo").state, "stopped");
  ok("start", "echo");
  const { state, pid = 0 } = stateOf("echo");
  assert.equal(state, "running");
  await talk("echo", "hello", /hello/);
  const machine = readFileSync(join(root, "echo", "machine.pid"), "utf8");
  await talk("echo", "zR", /z/);
  for (let tries = 0; tries < 600; tries += 1) {
    const now = existsSync(join(root, "echo", "machine.pid"))
      ? readFileSync(join(root, "echo", "machine.pid"), "utf8") : machine;
    if (now !== machine && existsSync(join(root, "echo", "com1.sock"))) {
      break;
    }
    await delay(100);
  }
  assert.notEqual(readFileSync(join(root, "echo", "machine.pid"), "utf8"), machine,
    "another process runs the machine");
  assert.equal(stateOf("echo").pid, pid, "the same one looks after it");
  await talk("echo", "again", /again/);
  assert.equal(tsvm("start", "echo").status, 4, "it runs already");
  assert.match(ok("stop", "echo", "--timeout", "30"), /^echo (powered off|was ended)$/m);
  assert.equal(stateOf("echo").state, "stopped");
  assert.deepEqual(readdirSync(join(root, "echo")).toSorted(),
    ["disk0.img", "log", "machine.flat"], "nothing is left behind");
  ok("destroy", "echo");
  assert.equal(existsSync(join(root, "echo")), false);
});

test("one who was killed is found out, and its machine can still be stopped", async () => {
  ok("create", "orphan", "--rom", rom, "--memory", "16M");
  ok("start", "orphan");
  process.kill(stateOf("orphan").pid ?? 0, "SIGKILL");
  await delay(200);
  const machine = Number(readFileSync(join(root, "orphan", "machine.pid"), "utf8"));
  assert.deepEqual([stateOf("orphan").state, stateOf("orphan").pid], ["running", machine]);
  process.kill(machine, "SIGKILL");
  await delay(500);
  assert.equal(stateOf("orphan").state, "stale");
  ok("start", "orphan");
  await talk("orphan", "x", /x/);
  assert.match(ok("stop", "orphan", "--force"), /orphan/);
  assert.equal(stateOf("orphan").state, "stopped");
});

test("a machine that cannot start says why", () => {
  ok("create", "broken", "--rom", rom);
  writeFileSync(join(root, "broken", "machine.flat"),
    `${readFileSync(join(root, "broken", "machine.flat"), "utf8")}cpsu=1\n`);
  const { status, error } = tsvm("start", "broken");
  assert.equal(status, 4);
  assert.match(error, /did you mean cpus\?/);
  assert.equal(stateOf("broken").state, "stopped");
  ok("destroy", "broken");
});

test("names are suggested, and a running machine is not destroyed by accident", () => {
  ok("create", "web", "--rom", rom, "--memory", "16M");
  assert.match(tsvm("info", "wbe").error, /did you mean web\?/);
  assert.match(tsvm("strat", "web").error, /did you mean start\?/);
  assert.equal(tsvm("create", "../x").status, 1);
  assert.equal(tsvm("create", "web").status, 4);
  ok("start", "web");
  assert.equal(tsvm("destroy", "web").status, 4);
  assert.equal(tsvm("snapshot-disk", "web", "s").status, 4);
  ok("destroy", "web", "--force");
});

if (spawnSync("script", ["--version"]).error !== undefined) {
  skipTest("the console", "script(1) is missing (package bsdutils)");
} else {
  test("the console says how to leave, both ways do, the terminal is as before", async () => {
    ok("create", "con", "--rom", rom, "--memory", "16M");
    ok("start", "con");
    for (const leave of ["\r~.", "\u0001x"]) {
      const child = spawn("script", ["-qec",
        `${process.execPath} ${program} console con; echo status $?; stty -a`,
        "/dev/null"], { env: environment });
      let heard = "";
      child.stdout.on("data", (bytes: Buffer) => { heard += bytes.toString("latin1"); });
      const until = async (wanted: RegExp) => {
        for (let tries = 0; tries < 1200 && !wanted.test(heard); tries += 1) {
          await delay(50);
        }
        assert.match(heard, wanted);
      };
      await until(/to leave: ~\. after Enter, or Ctrl-A x/);
      child.stdin.write("marco");
      await until(/marco/);
      child.stdin.write(leave);
      await until(/status 0[^]* icanon[^]* echo /);
      child.stdin.end();
      child.kill();
    }
    assert.equal(stateOf("con").state, "running", "it outlives its visitors");
    ok("destroy", "con", "--force");
  });
}

test("copies and snapshots keep the disks of their moment", () => {
  ok("create", "one", "--rom", rom, "--disk", "64K");
  const disk = join(root, "one", "disk0.img");
  writeFileSync(disk, Buffer.alloc(65536, "a"));
  assert.equal(ok("snapshot-disk", "one", "first"), "first: disk0.img\n");
  writeFileSync(disk, Buffer.alloc(65536, "b"));
  ok("clone", "one", "two");
  assert.equal(readFileSync(join(root, "two", "disk0.img"), "latin1").charAt(0), "b");
  assert.match(readFileSync(join(root, "two", "machine.flat"), "utf8"), /^name=two$/m);
  ok("snapshot-disk", "one", "first", "--revert");
  assert.equal(readFileSync(disk, "latin1").charAt(0), "a");
  assert.deepEqual(JSON.parse(ok("snapshot-disk", "one", "--json")), ["first"]);
  assert.match(tsvm("snapshot-disk", "one", "frist", "--revert").error, /did you mean first\?/);
  ok("snapshot-disk", "one", "first", "--delete");
  assert.equal(ok("snapshot-disk", "one"), "");
  assert.match(ok("list"), /^one +stopped +512M +1 +64\.0 KiB$/m);
});

test("a machine is made from any description", () => {
  const file = folder.file("pair.ucl");
  writeFileSync(file, `memory = 16m\nvm first { bootrom = "echo.rom" }\nvm second { cpus = 2 }\n`);
  ok("create", "first", "--from", file);
  assert.equal(readFileSync(join(root, "first", "machine.flat"), "utf8"),
    `memory.size=16m\nbootrom=${rom}\nname=first\n`);
  assert.equal(tsvm("create", "third", "--from", file).status, 4);
  assert.equal(existsSync(join(root, "third")), false, "nothing is left behind");
});

test("run stays in front, and a file of several machines wants a name", () => {
  writeFileSync(folder.file("halt.ucl"),
    "vm a { bootrom = halt.rom }\nvm b { bootrom = halt.rom }");
  writeFileSync(folder.file("halt.rom"), Buffer.concat([Buffer.from([0xfa, 0xf4]),
    echoRom().subarray(2)]));
  const { status, error } = tsvm("run", "halt.ucl", "a");
  assert.equal(status, 2, error);
  assert.match(tsvm("run", "halt.ucl", "c").error, /describes no machine c/);
});
