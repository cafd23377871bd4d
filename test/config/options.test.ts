import { flag, group, integer, nodeOf, numbered, options, parse, pciSlot, size, text }
  from "../../src/config/options.ts";
import type { OptionsOf } from "../../src/config/options.ts";
import { assert, test } from "../support/harness.ts";

const disk = options({
  path: text({ required: true, help: "Image file or block device." }),
  readOnly: flag({ key: "ro", default: false, help: "Refuse guest writes." }),
  sectorBytes: integer({ key: "sectorsize", default: 512, oneOf: [512, 4096], help: "Sector." }),
  mode: text({ oneOf: ["a", "b"], default: "a", help: "One of two." }),
  serial: text({ key: "ser", lengthMax: 20, help: "Serial number." }),
  cache: size({ default: 1048576, max: 2 ** 30, help: "Cache." }),
  where: pciSlot({ help: "A slot." }),
});

// The compiler checks these: what has a default is never undefined.
const typed = (value: OptionsOf<typeof disk>): [string, boolean, 512 | 4096, "a" | "b"] =>
  [value.path, value.readOnly, value.sectorBytes, value.mode];

test("a schema yields typed values and defaults", () => {
  const parsed = parse(disk, nodeOf({ path: "/x", ro: "on", sectorsize: "0x1000", where: "3:1" }));
  assert.ok(parsed.ok);
  assert.deepEqual(typed(parsed.value), ["/x", true, 4096, "a"]);
  assert.deepEqual(parsed.value.where, { bus: 0, slot: 3, func: 1 });
  assert.equal(parsed.value.serial, undefined);
  assert.equal(parsed.value.cache, 1048576);
});

test("every problem is reported at once, with full key, value and what is allowed", () => {
  const node = nodeOf({ ro: "maybe", sectorsize: "1024", mode: "c", cache: "2G",
    ser: "x".repeat(21), where: "32" }, "pci.0.3.0");
  const parsed = parse(disk, node);
  assert.ok(!parsed.ok);
  assert.deepEqual(parsed.problems.map(({ key }) => key), ["path", "ro", "sectorsize", "mode",
    "ser", "cache", "where"].map((key) => `pci.0.3.0.${key}`));
  assert.match(parsed.problems[0]?.message ?? "", /required/);
  assert.match(parsed.problems[2]?.message ?? "", /512, 4096/);
  assert.equal(parsed.problems[1]?.value, "maybe");
});

test("numbered nodes take plain decimal names in range and nothing else", () => {
  const ports = options({
    ports: numbered({ path: text({ help: "p" }) }, { key: "port", last: 31, help: "Ports." }),
    vga: group({ on: flag({ default: true, help: "x" }) }, { help: "Screen." }),
  });
  const parsed = parse(ports, nodeOf({ "port.1.path": "b", "port.0.path": "a",
    "port.32.path": "c", "port.01.path": "d", "port.x": "e" }));
  assert.ok(parsed.ok);
  assert.deepEqual([...parsed.value.ports].map(([port, { path }]) => [port, path]),
    [[0, "a"], [1, "b"]]);
  assert.equal(parsed.value.vga.on, true);
});

test("an alias counts only while its key is absent", () => {
  const schema = options({ rfb: text({ aliases: ["tcp"], default: "d", help: "VNC address." }) });
  const rfbOf = (values: Record<string, string>) => {
    const parsed = parse(schema, nodeOf(values));
    return parsed.ok ? parsed.value.rfb : "wrong";
  };
  assert.equal(rfbOf({ tcp: "1" }), "1");
  assert.equal(rfbOf({ tcp: "1", rfb: "2" }), "2");
  assert.equal(rfbOf({}), "d");
});
