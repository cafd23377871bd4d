import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { main } from "../../src/cli/main.ts";
import { bytesOf, textOf } from "../../src/cli/text-file.ts";
import { devices } from "../../src/machine/registry.ts";
import { testFolder } from "../support/folder.ts";
import { assert, randomSource, seed, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const folder = testFolder();
const programFile = join(repositoryRoot, "bin", "tsbhyve.mjs");

async function run(...argv: string[]) {
  let out = "";
  let error = "";
  const status = await main(argv, {
    out: (text) => { out += text; }, error: (text) => { error += text; },
  });
  return { status, out, error };
}

test("--help prints to standard output, -h to standard error, as bhyve does", async () => {
  const long = await run("--help");
  assert.equal(long.status, 0);
  assert.match(long.out, /^usage: tsbhyve /);
  const short = await run("-h");
  assert.deepEqual([short.status, short.out], [0, ""]);
  assert.equal(short.error, long.out);
});

test("--version prints the package's version, wherever it stands", async () => {
  const { version } = JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8"));
  assert.deepEqual(await run("--version"), { status: 0, out: `tsbhyve ${version}\n`, error: "" });
  assert.deepEqual(await run("-H", "--version"),
    { status: 0, out: `tsbhyve ${version}\n`, error: "" });
});

test("help lists every device and knows the keys of each", async () => {
  const overview = await run("help");
  for (const [name] of devices) {
    assert.match(overview.out, new RegExp(`^  ${name} `, "m"));
    assert.equal((await run("help", name)).status, 0);
  }
  assert.match((await run("help", "virtio-blk")).out, /^ {2}path .*\[required\]$/m);
  assert.match((await run("help", "memory.size")).out, /\[default: 256M\]/);
  assert.match((await run("help", "pci.0.3.0.sectorsize")).out, /^virtio-blk: sectorsize: /m);
  assert.match((await run("help", "vcpu.3.cpuset")).out, /^vcpu\.N\.cpuset: /);
  const unknown = await run("help", "memory.sise");
  assert.equal(unknown.status, 1);
  assert.match(unknown.error, /did you mean memory\.size\?/);
});

test("doctor tells the same in words and in JSON", async () => {
  const words = await run("doctor");
  const json = JSON.parse((await run("doctor", "--json")).out);
  assert.equal(json.healthy, words.status === 0);
  assert.ok(json.findings.length >= 8);
  for (const { name, detail } of json.findings) {
    assert.ok(words.out.includes(name), name);
    assert.ok(typeof detail === "string" && detail !== "", name);
  }
  assert.equal((await run("doctor", "--yaml")).status, 1);
});

test("everything wrong with a command line is told in one run, with its argument", async () => {
  const { status, out, error } = await run("-m", "0", "-s", "3,virtio-blk,/no/such/disk",
    "-o", "memroy.size=1G", "-o", "boot.kernel=/no/such/kernel", "vm");
  assert.equal(status, 4);
  assert.equal(out, "");
  assert.match(error, /^tsbhyve: memory\.size="0": .*\(argument 1, -m\)$/m);
  assert.match(error, /^tsbhyve: memroy\.size="1G": .*did you mean memory\.size\?.*$/m);
  assert.match(error, /^tsbhyve: boot\.kernel="\/no\/such\/kernel": /m);
  assert.match(error, /^tsbhyve: pci\.0\.3\.0\.path="\/no\/such\/disk": /m);
});

test("an occupied slot is one clear error", async () => {
  const { status, error } = await run("-s", "3,virtio-rnd", "-s", "3,virtio-rnd", "vm");
  assert.equal(status, 4);
  assert.match(error, /0:3:0 is already occupied/);
});

test("a dry run prints the maps of the machine and writes nothing", async () => {
  const rom = folder.put("rom", new Uint8Array(4096).fill(0xf4));
  const disk = folder.put("disk", new Uint8Array(65536));
  const before = readdirSync(folder.path);
  const { status, out, error } = await run("--dry-run", "-o", `bootrom=${rom}`, "-m", "64M",
    "-s", "0,hostbridge", "-s", `3,virtio-blk,${disk}`, "-s", "31,lpc",
    "-l", `com1,file:${folder.file("serial")}`, "vm");
  assert.equal(error, "");
  assert.equal(status, 0);
  assert.match(out, /^ {2}0:3\.0 {2}virtio-blk \[1af4:1001\]/m);
  assert.match(out, /^ {9}BAR 0: io 2000-/m);
  assert.match(out, /^ {2}000000100000-000003ffffff {2}RAM$/m);
  assert.match(out, /^ {2}0000fffff000-0000ffffffff {2}boot ROM$/m);
  assert.deepEqual(readdirSync(folder.path), before);
});

test("a dry run finds what only loading the kernel shows", async () => {
  const kernel = folder.put("kernel", "no kernel at all");
  const { status, error } = await run("--dry-run", "-o", `boot.kernel=${kernel}`, "vm");
  assert.equal(status, 4);
  assert.match(error, /^tsbhyve: boot\.kernel=.*not a kernel that can be started; allowed: /);
});

test("boot files, ROMs and serial lines that cannot serve are refused with their key", async () => {
  const odd = folder.put("odd", new Uint8Array(5000));
  const empty = folder.put("empty", "");
  const cases: readonly [string[], RegExp][] = [
    [["-o", `bootrom=${odd}`], /bootrom=.*5000 bytes/],
    [["-o", `boot.kernel=${empty}`], /boot\.kernel=.*is empty/],
    [["-o", `boot.kernel=${folder.path}`], /boot\.kernel=.*not a file/],
    [["-o", `boot.kernel=${odd}`, "-o", "boot.initrd=/none"], /boot\.initrd="\/none"/],
    [["-o", `boot.kernel=${odd}`, "-o", "boot.modules=/none x; /never"], /boot\.modules="\/never"/],
    [["-o", `boot.kernel=${odd}`, "-s", "31,lpc", "-l", `com1,${odd}`],
      /lpc\.com1\.path=.*terminal/],
    [["-o", `boot.kernel=${odd}`, "-s", "31,lpc", "-l", "com2"], /lpc\.com2\.path: -l com2 names/],
    [["-o", `boot.kernel=${odd}`, "-s", "31,lpc", "-l", "com1,stdio", "-l", "com2,stdio"],
      /lpc\.com2\.path="stdio": lpc\.com1\.path has it/],
    [["-o", `boot.kernel=${odd}`, "-o", "vmm.backend=vmm"], /vmm\.backend="vmm": /],
  ];
  for (const [argv, message] of cases) {
    const { status, error } = await run(...argv, "vm");
    assert.equal(status, 4, argv.join(" "));
    assert.match(error, message);
  }
});

test("bytes that are no UTF-8 pass through a -k file and config.dump", () => {
  const random = randomSource();
  const odd = [0xed, 0xa0, 0x80, 0xff, 0xc0, 0x80, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0x41];
  for (let round = 0; round < 2000; round += 1) {
    const bytes = Uint8Array.from({ length: random() % 12 }, () => odd[random() % odd.length] ?? 0);
    assert.deepEqual([...bytesOf(textOf(bytes))], [...bytes], `seed ${seed}`);
  }
  const file = folder.put("latin1.conf", Uint8Array.of(0x61, 0x3d, 0xfc, 0xff, 0x0a));
  const { status, stdout } = spawnSync(process.execPath,
    [programFile, "-k", file, "-o", "config.dump=1", "vm"]);
  assert.equal(status, 1);
  assert.ok(stdout.includes(Buffer.of(0x0a, 0x61, 0x3d, 0xfc, 0xff, 0x0a)));
});

test("the program itself answers with bhyve's statuses", () => {
  const dump = spawnSync(process.execPath, [programFile, "-o", "config.dump=1", "vm"]);
  assert.equal(dump.status, 1);
  assert.match(dump.stdout.toString(), /^acpi_tables=true\n[^]*\nname=vm\n$/);
  assert.equal(spawnSync(process.execPath, [programFile, "-q", "vm"]).status, 1);
  assert.equal(spawnSync(process.execPath, [programFile, "-o", "novalue=", "vm"]).status, 64);
  assert.ok(existsSync(programFile));
});
