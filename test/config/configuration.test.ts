import type { DeviceSchemas } from "../../src/config/configuration.ts";
import { check } from "../../src/config/configuration.ts";
import { setFile } from "../../src/config/file.ts";
import { keysOf, optionAt } from "../../src/config/known-keys.ts";
import { flag, numbered, options, text } from "../../src/config/options.ts";
import { globalSchema } from "../../src/config/schema.ts";
import { Tree, setDefaults } from "../../src/config/tree.ts";
import { assert, test } from "../support/harness.ts";

const devices: DeviceSchemas = new Map([
  ["disk", { help: "A disk.", options: options({
    path: text({ required: true, help: "Image." }),
    readOnly: flag({ key: "ro", default: false, help: "Refuse writes." }),
  }) }],
  ["ahci", { help: "Ports.", options: options({
    ports: numbered({ type: text({ help: "hd or cd." }) }, { key: "port", last: 31, help: "x" }),
  }) }],
  ["lpc", { help: "Bridge.", options: options({}), single: true }],
]);

function configured(lines: string): Tree {
  const tree = new Tree(() => {});
  setDefaults(tree);
  setFile(tree, "vm.conf", lines);
  return tree;
}

const sound = "name=vm\nboot.kernel=/k\n";

/** `key: message` of every problem. */
function problemsOf(lines: string): string[] {
  const verdict = check(configured(lines), devices);
  return verdict.ok ? [] : verdict.problems.map(({ key, message }) => `${key}: ${message}`);
}

test("a sound configuration is read with its defaults", () => {
  const verdict = check(configured(`${sound}cpus=2\npci.0.4.0.device=disk\npci.0.4.0.path=/d
pci.0.3.0.device=lpc\n`), devices);
  assert.ok(verdict.ok);
  const { globals, topology, functions } = verdict.value;
  assert.equal(globals.memoryBytes, 256 * 1024 * 1024);
  assert.deepEqual(topology, { sockets: 2, cores: 1, threads: 1, cpus: 2 });
  assert.deepEqual(functions.map(({ at, device }) => [at.slot, device]), [[3, "lpc"], [4, "disk"]]);
});

test("all that is wrong is told at once, each with file and line", () => {
  const found = problemsOf(`name=vm
memory.size=0
cpus=3
cores=2
memroy.size=1G
pci.0.3.0.device=disk
pci.0.3.0.ro=maybe
pci.0.4.0.device=dist
acpi_tables=perhaps
`);
  const expected: readonly [string, RegExp][] = [
    ["cpus", /make 6 CPUs.*\(vm\.conf:3:1\)/], ["memory.size", /allowed: .*\(vm\.conf:2:1\)/],
    ["acpi_tables", /true, on, yes.*\(vm\.conf:9:1\)/], ["bootrom", /nothing to boot/],
    ["pci.0.4.0.device", /did you mean disk\?.*\(vm\.conf:8:1\)/],
    ["pci.0.3.0.path", /is required.*\(vm\.conf:6:1\)/],
    ["pci.0.3.0.ro", /true, on, yes.*\(vm\.conf:7:1\)/],
    ["memroy.size", /did you mean memory\.size\?.*\(vm\.conf:5:1\)/],
  ];
  assert.equal(found.length, expected.length, found.join("\n"));
  for (const [key, message] of expected) {
    const problem = found.find((each) => each.startsWith(`${key}: `));
    assert.match(problem ?? "", message, key);
  }
});

test("sizes of memory that no machine can have are refused", () => {
  for (const value of ["0", "1", "1048576", "-1", "99999999999999999999", "65T"]) {
    const [problem = ""] = problemsOf(`${sound}memory.size=${value}\n`);
    assert.match(problem, /^memory\.size: allowed: /, value);
  }
});

test("an unknown key is an error with a suggestion, unless something refers to it", () => {
  assert.match(problemsOf(`${sound}boot.kernal=1\n`)[0] ?? "", /did you mean boot\.kernel\?/);
  assert.match(problemsOf(`${sound}wholly.other=1\n`)[0] ?? "", /is an unknown key; nothing/);
  assert.deepEqual(problemsOf(`${sound}base=1\nboot.cmdline=%(base)\n`), []);
  assert.deepEqual(problemsOf(`base=v\nname=%(base)2\n${sound}`), [], "a value replaced later");
  assert.equal(problemsOf(`${sound}base=1\nboot.cmdline=\\%(base)\n`).length, 1, "escaped");
});

test("config.strict=false gives bhyve's silence on unknown keys and circles", () => {
  const junk = "junk=1\nx=%(y)\ny=%(x)\npci.0.3.0.device=disk\npci.0.3.0.path=/d\npci.0.3.0.no=1\n";
  assert.equal(problemsOf(`${sound}${junk}`).length, 3);
  assert.deepEqual(problemsOf(`${sound}${junk}config.strict=false\n`), []);
});

test("a circle of references is told with its way, once for all its keys", () => {
  const found = problemsOf(`${sound}a=%(b)\nb=%(c)\nc=%(a)\nd=%(a)\nboot.cmdline=%(d)\n`);
  assert.equal(found.length, 1);
  assert.match(found[0] ?? "", /a -> b -> c -> a/);
});

test("names below pci that are no function, and keys of numbered nodes out of range", () => {
  assert.match(problemsOf(`${sound}pci.0.03.0.device=disk\n`)[0] ?? "", /is no PCI function/);
  assert.match(problemsOf(`${sound}pci.0.32.0.device=disk\n`)[0] ?? "", /is no PCI function/);
  const ahci = `${sound}pci.0.3.0.device=ahci\n`;
  assert.deepEqual(problemsOf(`${ahci}pci.0.3.0.port.31.type=hd\n`), []);
  assert.match(problemsOf(`${ahci}pci.0.3.0.port.32.type=hd\n`)[0] ?? "", /is an unknown key/);
});

test("aliases of -s are no devices, single devices are alone and on bus 0", () => {
  assert.match(problemsOf(`${sound}pci.0.3.0.device=ahci-hd\n`)[0] ?? "", /use ahci/);
  assert.match(problemsOf(`${sound}pci.0.3.0.device=lpc\npci.0.4.0.device=lpc\n`)[0] ?? "",
    /in pci\.0\.3\.0 already/);
  assert.match(problemsOf(`${sound}x86.mptable=false\npci.1.3.0.device=lpc\n`)[0] ?? "", /bus 0/);
});

test("one thing starts the machine, and its companions need it", () => {
  assert.match(problemsOf(`${sound}bootrom=/r\n`)[0] ?? "", /beside bootrom/);
  const alone = problemsOf("name=vm\nbootrom=/r\nboot.initrd=/i\n");
  assert.match(alone[0] ?? "", /without boot\.kernel/);
  assert.match(problemsOf("name=vm\n")[0] ?? "", /nothing to boot/);
});

test("every key of the schema is found by its own name and by its old ones", () => {
  for (const { key, option } of keysOf(globalSchema)) {
    assert.equal(optionAt(globalSchema, key.replaceAll(".N.", ".0.")), option, key);
    for (const old of option.aliases) {
      assert.equal(optionAt(globalSchema, old), option, old);
    }
  }
});

test("every key of the schema says what it does and what is allowed", () => {
  const seen = new Set<string>();
  for (const { key, option } of keysOf(globalSchema)) {
    assert.match(option.help, /^\S.*\.$/, key);
    assert.ok(option.allowed.length > 0, key);
    assert.ok(!seen.has(key), `${key} is there once`);
    seen.add(key);
    if (option.default !== undefined && option.kind !== "size") {
      assert.deepEqual(option.read(String(option.default)), { value: option.default }, key);
    }
  }
});

test("keys without effect are said, unless they ask for what holds anyway", () => {
  const warningsOf = (lines: string) => check(configured(lines), devices);
  const warned = warningsOf(`${sound}memory.wired=true\nx86.x2apic=off\nlpc.com1.path=stdio\n`);
  assert.ok(warned.ok);
  assert.deepEqual(warned.value.warnings.map(({ key }) => key), ["memory.wired", "lpc.com1.path"]);
  const quiet = warningsOf(`${sound}lpc.com1.path=stdio\npci.0.31.0.device=lpc\n`);
  assert.ok(quiet.ok);
  assert.deepEqual(quiet.value.warnings, []);
});
