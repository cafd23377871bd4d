/** UCL's features one by one, and the words of structured texts. */
import { ConfigError } from "../../src/base/errors.ts";
import { Source } from "../../src/formats/source.ts";
import { json } from "../../src/formats/json.ts";
import { ucl } from "../../src/formats/ucl/format.ts";
import { assert, test } from "../support/harness.ts";

type Files = Readonly<Record<string, string>>;

function read(text: string, machine?: string, files: Files = {}): Record<string, string> {
  const { entries } = ucl.read(new Source("main.ucl", text), {
    ...(machine !== undefined && { machine }),
    include: (path) => {
      const found = files[path];
      if (found === undefined) {
        throw new ConfigError({ key: path, message: "is not there" });
      }
      return new Source(path, found);
    },
    variables: new Map([["WHO", "me"]]),
  });
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}

function problem(text: string, machine?: string, files?: Files): string {
  try {
    read(text, machine, files);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return "";
}

test("separators, quotes, comments and sections mean what libucl says", () => {
  assert.deepEqual(read(`# one
a = 1; b: two, c "th\\u0072ee" /* four /* five */ */
d { e = 'it\\'s'; f.g = x }
section first "second" { h = on }
i = http://host/path#part # a comment
`), { a: "1", b: "two", c: "three", "d.e": "it's", "d.f.g": "x", "section.first.second.h": "on",
    i: "http://host/path#part" });
});

test("numbers have suffixes, but sizes of ours keep their own", () => {
  assert.deepEqual(read("a=1k;b=1kb;c=2mb;d=3min;e=5s;f=2h;g=10ms;memory.size=512m;h=1.5k;i=7x"),
    { a: "1000", b: "1024", c: "2097152", d: "180", e: "5", f: "7200", g: "0.01",
      "memory.size": "512m", h: "1500", i: "7x" });
});

test("here-documents and variables", () => {
  assert.deepEqual(read("a = <<EOD\none $WHO\ntwo\nEOD\nb = \"${WHO}$$\"; c = '$WHO'; d = $NOBODY\n"
    + "e = \"$CURDIR/$FILENAME\"; f = \"%(a)\""),
  { a: "one me\ntwo", b: "me$", c: "$WHO", d: "$NOBODY", e: "./main.ucl", f: "%(a)" });
});

test("files are included, at most once around", () => {
  assert.deepEqual(read(".include \"more\"\nd { .include \"more\" }\n.try_include \"gone\"\n"
    + ".include(try=true) \"gone\"", undefined, { more: "a = 1" }), { a: "1", "d.a": "1" });
  assert.match(problem(".include \"x\"", undefined, { x: ".include \"y\"", y: ".include \"x\"" }),
    /^y:1:1: includes in a circle: main\.ucl -> x -> y -> x$/);
  assert.match(problem("a = 1\n .include \"gone\""), /^main\.ucl:2:2: is not there$/);
  assert.match(problem(".includes \"x\""), /^main\.ucl:1:1: \.includes is not known; allowed/);
});

test("shortcuts become devices in the order of the text, around the slots that are given", () => {
  assert.deepEqual(read(`name = s
disk { path = /a; ro = yes }
disk = /b
device.7 { device = virtio-rnd; slot = 3 }
cdrom = /c
net { backend = tap0; model = e1000; slot = "0:2:0" }
console { path = pty; port = com2 }
share { path = /s; sharename = src }`), {
    name: "s", "lpc.com2.path": "pty", "pci.0.0.0.device": "hostbridge",
    "pci.0.2.0.device": "e1000", "pci.0.2.0.backend": "tap0",
    "pci.0.3.0.device": "virtio-rnd",
    "pci.0.4.0.device": "virtio-blk", "pci.0.4.0.path": "/a", "pci.0.4.0.ro": "yes",
    "pci.0.5.0.device": "virtio-blk", "pci.0.5.0.path": "/b",
    "pci.0.6.0.device": "ahci", "pci.0.6.0.port.0.type": "cd", "pci.0.6.0.port.0.path": "/c",
    "pci.0.7.0.device": "virtio-9p", "pci.0.7.0.path": "/s", "pci.0.7.0.sharename": "src",
    "pci.0.31.0.device": "lpc",
  });
});

test("a file may describe several machines on common ground", () => {
  const text = "memory = 1G\nvm a { cpus = 1 }\nvm b { memory = 2G }\n";
  assert.deepEqual(read(text, "b"), { "memory.size": "2G", name: "b" });
  assert.deepEqual(read(text, "a"), { "memory.size": "1G", cpus: "1", name: "a" });
  assert.deepEqual(read("fbsd11 { cpus = 3 }\nfbsd12 { cpus = 4 }", "fbsd11"),
    { cpus: "3", name: "fbsd11" });
  assert.match(problem(text), /describes 2 machines and none is named; allowed: a, b/);
  assert.match(problem("vm fbsd11 {}\nvm other {}", "fbsd1"), /did you mean fbsd11\?/);
});

test("mistakes are told with their places", () => {
  for (const [text, message] of [
    ["a = 1\na = 2", /^main\.ucl:2:5: a is given twice, first at main\.ucl:1:5/],
    ["disk { path = /a; slot = 3 }\nnet { backend = t; slot = 3 }",
      /^main\.ucl:2:5: virtio-net wants slot 0:3:0, which is taken at main\.ucl:1:6/],
    ["pci.0.3.0.device = lpc\ndisk { path = /a; slot = 3 }", /taken at main\.ucl:1:20/],
    ["disk { path = /a; bus = nvm }",
      /^main\.ucl:1:25="nvm": is no bus of disk; did you mean nvme\?/],
    ["disk { ro = yes }", /^main\.ucl:1:6: disk has no path/],
    ["a = {", /^main\.ucl:1:6: the text ends; expected: \}/],
    ["a = \"x", /^main\.ucl:1:5: this string is not closed/],
    ["a = [1", /^main\.ucl:1:7: the text ends; expected: \]/],
    ["/* x", /^main\.ucl:1:1: this comment is not closed/],
    ["a = <<EOD\nx", /^main\.ucl:1:5: this text is not closed; expected: a line EOD/],
    ["cpus = [1, 2]", /^main\.ucl:1:12: cpus has several values/],
    ["a = null", /^main\.ucl:1:5: null is no value/],
    ["device.1.path = /a", /^main\.ucl:1:1: device\.1 has no device/],
    ["}", /^main\.ucl:1:1: "\}"; expected: a name/],
  ] as const) {
    assert.match(problem(text), message, text);
  }
});

test("JSON refuses what is only nearly JSON", () => {
  const refuse = (text: string, message: RegExp) => assert.throws(
    () => json.read(new Source("m.json", text), {}), message, text);
  refuse("{\"a\": 1, \"a\": 2}", /m\.json:1:10: "a" is given twice, first at m\.json:1:2/);
  refuse("{\"a\": 01}", /m\.json:1:7/);
  refuse("{\"a\": 1,}", /m\.json:1:9: "\}"; expected: a name/);
  refuse("[1]", /m\.json:1:1: is no object/);
  refuse("{\"a\": \"\\x\"}", /m\.json:1:8: is no escape/);
  refuse("{} x", /m\.json:1:4: "x"; expected: the end/);
  refuse("{'a': 1}", /m\.json:1:2/);
});
