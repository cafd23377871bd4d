/** `tsbhyve config`, as a person uses it. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../../src/cli/main.ts";
import { testFolder } from "../support/folder.ts";
import { assert, test } from "../support/harness.ts";
import { testFile } from "../support/paths.ts";
import { echoRom } from "../runner/vm/echo-rom.ts";

const folder = testFolder().path;

async function run(...argv: string[]) {
  let out = "", error = "";
  const status = await main(argv, {
    out: (text) => { out += text; }, error: (text) => { error += text; },
  });
  return { status, out, error };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const sample = (name: string) => testFile("formats", join("samples", name));

test("translate tells what is lost, and --strict fails on it", async () => {
  const path = sample("vmx/workstation.vmx");
  const plain = await run("config", "translate", "--to", "firecracker-json", path);
  assert.equal(plain.status, 0);
  assert.match(plain.out, /"path_on_host": "guest\.img"/);
  assert.match(plain.error, /^lost: pci\.0\.4\.0\.device="nvme": has no counterpart in fire/m);
  assert.match(plain.error, /workstation\.vmx:\d+:\d+\)$/m);
  assert.equal((await run("config", "translate", "--to", "flat", "--strict", path)).status, 4);
  assert.equal((await run("config", "translate", "--to", "ucl", "--strict",
    sample("flat/plain.bhyve"))).status, 0);
  const { out } = await run("config", "translate", "--json", "--to=flat", path);
  const { from, text, losses } = JSON.parse(out);
  assert.deepEqual([from, losses.length, typeof losses[0].reason], ["vmx", 1, "string"]);
  assert.match(text, /^bootrom=/m);
});

test("a command line may stand behind --", async () => {
  const { status, out } = await run("config", "translate", "--to", "flat", "--",
    "-s", "3,virtio-blk,/a b,ro", "-m", "1G", "vm");
  assert.equal(status, 0);
  assert.equal(out, "memory.size=1G\npci.0.3.0.device=virtio-blk\npci.0.3.0.path=/a b\n"
    + "pci.0.3.0.ro=true\nname=vm\n");
});

test("wrong words are answered with the nearest right ones", async () => {
  for (const [argv, message] of [
    [["config", "tanslate"], /did you mean translate\?/],
    [["config", "translate", "--too", "flat", "x"], /did you mean --to\?/],
    [["config", "translate", "--to", "flatt", "x"], /did you mean flat\?/],
    [["config", "translate", "x"], /--to: is missing; allowed: bhyve-argv, flat/],
    [["config", "check"], /FILE: is missing/],
  ] as const) {
    const { status, error } = await run(...argv);
    assert.equal(status, 1, argv.join(" "));
    assert.match(error, message);
  }
});

test("diff sees meaning, not spelling", async () => {
  const one = file("one.flat", "name=a\nmemory.size=512\ncpus=0x2\nx86.strictmsr=true\n");
  const two = file("two.ucl", "name = a\ncpus = 2\nmemory = 512M\n");
  assert.deepEqual(await run("config", "diff", one, two), { status: 0, out: "", error: "" });
  const three = file("three.json", "{\"name\": \"a\", \"cpus\": 3, \"memory\": \"1G\"}");
  const { status, out } = await run("config", "diff", one, three);
  assert.equal(status, 1);
  assert.equal(out, "-memory.size=512\n+memory.size=1G\n-cpus=0x2\n+cpus=3\n");
  assert.equal(JSON.parse((await run("config", "diff", "--json", one, three)).out).length, 2);
});

test("fmt puts keys in order and spells them one way, and is its own fixed point", async () => {
  const path = file("messy.flat", "pci.0.4.0.path=/a\npci.0.4.0.device=virtio-blk\nx=y\n"
    + "pci.0.4.0.ro=YES\nmemory.size=1048576K\ncpus=010\nname=a\npci.0.3.0.device=lpc\n");
  const { out } = await run("config", "fmt", path);
  assert.equal(out, "name=a\ncpus=8\nmemory.size=1G\nx=y\npci.0.3.0.device=lpc\n"
    + "pci.0.4.0.device=virtio-blk\npci.0.4.0.path=/a\npci.0.4.0.ro=true\n");
  assert.equal((await run("config", "fmt", file("tidy.flat", out))).out, out);
});

test("explain says who reads a key and since when; schema knows every key", async () => {
  const { out } = await run("config", "explain", "lpc.bootrom");
  assert.match(out,
    /^bootrom: .*\n {2}type: text\n.*\n {2}read by: the firmware.*\n {2}since: bhyve/);
  const [explained] = JSON.parse((await run("config", "explain", "--json", "memory.size")).out);
  assert.equal(explained.type, "size");
  assert.equal((await run("config", "explain", "memory.sise")).status, 1);
  const schema = JSON.parse((await run("config", "schema")).out);
  assert.equal(schema.properties.boot.properties.kernel.type[0], "string");
  const devices = schema.properties.pci.patternProperties["^[0-9]+$"]
    .patternProperties["^[0-9]+$"].patternProperties["^[0-9]+$"].anyOf;
  assert.ok(devices.some((each: { properties: { device: { const: string } } }) =>
    each.properties.device.const === "virtio-blk"));
});

test("check takes any format and prints the maps; mistakes have their places", async () => {
  const kernel = file("kernel.elf", "not a kernel");
  writeFileSync(join(folder, "disk.img"), new Uint8Array(4096));
  const text = `name = c\nboot.kernel = "${kernel}"\ndisk { path = "${folder}/disk.img" }\n`;
  const { status, error } = await run("config", "check", file("c.ucl", `${text}cpsu = 1\n`));
  assert.equal(status, 4);
  assert.match(error, /cpsu="1": is an unknown key; did you mean cpus\? \(.*c\.ucl:4:8\)/);
  const json = await run("config", "check", "--json", file("d.ucl", `${text}memory = "64 M"\n`));
  assert.equal(json.status, 64);
  const { ok, problems } = JSON.parse(json.out);
  assert.ok(!ok && problems.some((each: { key: string }) => each.key === "memory.size"));
});

test("check tells the maps, interrupts, and what of the host is taken", async () => {
  writeFileSync(join(folder, "echo.rom"), echoRom());
  writeFileSync(join(folder, "data.img"), new Uint8Array(4096));
  const path = file("whole.ucl", `name = whole; memory = 32m; bootrom = "${folder}/echo.rom"
    disk { path = "${folder}/data.img"; ro = yes }\n disk = "${folder}/disk.img"
    console = pty\n`);
  writeFileSync(join(folder, "disk.img"), new Uint8Array(8192));
  const { status, out, error } = await run("config", "check", path);
  assert.equal(status, 0, error);
  for (const line of [/^ {2}0:2\.0 {2}virtio-blk .*interrupt \d+ \(I\/O APIC input \d+\)$/m,
    /^ {2}memory {4}32M$/m, /^ {2}reads .*\/data\.img {2}\(pci\.0\.2\.0\.path\)$/m,
    /^ {2}writes .*\/disk\.img {2}\(pci\.0\.3\.0\.path\)$/m,
    /^ {2}opens {5}pty {2}\(lpc\.com1\.path\)$/m, /^ {2}reads .*echo\.rom {2}\(bootrom\)$/m]) {
    assert.match(out, line);
  }
});

test("-f reads a machine of a file, whatever comes later wins, and bhyve's -f stays", async () => {
  const path = file("devvms.conf", "memory = 256m\nvm fbsd11 { cpus = 2; console = stdio }\n"
    + "vm other { cpus = 1 }\n");
  const { status, out } = await run("-f", path, "-o", "cpus=1", "-o", "config.dump=1", "fbsd11");
  assert.equal(status, 1);
  assert.match(out, /^memory\.size=256m$/m);
  assert.match(out, /^lpc\.com1\.path=stdio$/m);
  assert.match(out, /^cpus=1$/m);
  assert.match(out, /^name=fbsd11$/m);
  const wrong = await run("-f", path, "-o", "config.dump=1", "fbsd1");
  assert.equal(wrong.status, 4);
  assert.match(wrong.error, /did you mean fbsd11\?/);
  assert.equal((await run("-f", "opt/x,string=y", "-o", "config.dump=1", "vm")).status, 1);
  assert.equal((await run("-f", "missing", "-o", "config.dump=1", "vm")).status, 64);
});

test("includes stay in the folder, also behind symbolic links", async () => {
  mkdirSync(join(folder, "in"));
  file("secret", "a = 1");
  writeFileSync(join(folder, "in", "ok.inc"), "b = 2");
  symlinkSync(join(folder, "secret"), join(folder, "in", "link"));
  const main = (path: string) => file("in/main.ucl", `name = n\n.include "${path}"\n`);
  assert.match((await run("config", "translate", "--to", "flat", main("ok.inc"))).out, /^b=2$/m);
  for (const path of ["../secret", join(folder, "secret"), "link", "/etc/passwd"]) {
    const { status, error } = await run("config", "translate", "--to", "flat", main(path));
    assert.equal(status, 4, path);
    assert.match(error, /main\.ucl:2:1: ".*" leads out of/, path);
  }
  assert.equal((await run("config", "translate", "--to", "flat", "--include-dir", folder,
    main("secret"))).status, 0);
});

test("a file of a hundred megabytes is refused at once", async () => {
  const path = file("huge.ucl", "a".repeat(100_000_000));
  const before = process.memoryUsage().rss;
  const { status, error } = await run("config", "translate", "--to", "flat", path);
  assert.equal(status, 4);
  assert.match(error, /huge\.ucl:1:1: is larger than 1048576 bytes/);
  assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024, "it was never read whole");
  assert.equal(readFileSync(path).length, 100_000_000);
});
