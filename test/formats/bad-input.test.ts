/** Hostile texts: refused in bounded time and memory, with a place. */
import { ConfigError } from "../../src/base/errors.ts";
import { formats } from "../../src/formats/registry.ts";
import { sourceOf, textBytesMax } from "../../src/formats/source.ts";
import { assert, test } from "../support/harness.ts";

const size = textBytesMax - 4096;
const times = (text: string) => text.repeat(Math.floor(size / text.length));
const lines = (line: (index: number) => string, count: number) =>
  Array.from({ length: count }, (_unused, index) => line(index)).join("\n");

const texts: Readonly<Record<string, string>> = {
  "open brackets": times("["), "open braces": times("{"), "nested JSON": times("{\"a\":"),
  "nested elements": times("<a>"), "one long word": `a=${times("x")}`,
  "one long string": `{"a":"${times("x")}"}`, "one long quote": times("\""),
  "blanks": times(" "), "comments in comments": times("/*"), "many words": times("a b "),
  "many flags": `bhyve ${times("-o a=b ")}`, "many keys": lines((n) => `k${n}=v`, 60_000),
  "many members": `{${lines((n) => `"k${n}":1,`, 50_000)}`,
  "many tables": lines((n) => `[dev.d${n}]\ndriver="x"`, 30_000),
  "many attributes": `<domain ${lines((n) => `a${n}="v"`, 60_000)}/>`,
  "many disks": `<domain><devices>${times("<disk/>")}</devices></domain>`,
  "disks in a list": `disk = [${times("\"a\",")}]`, "deep key": `${times("a.")}=1`,
  "escapes": `a='${times("\\'")}`, "variables": `a = "${times("${")}"`,
  "lines of one disk each": times("disk { path = a }\n"),
};

for (const format of formats) {
  test(`${format.name}: a mebibyte of nonsense ends within seconds`, () => {
    for (const [name, text] of Object.entries(texts)) {
      const before = performance.now();
      try {
        format.read(sourceOf("t", Buffer.from(text)), {});
      } catch (error) {
        assert.ok(error instanceof ConfigError, `${name}: ${String(error)}`);
        assert.match(error.message, /t:[0-9]+:[0-9]+/, name);
      }
      // One second on an idle machine; a loaded one gets room, a quadratic reader does not.
      assert.ok(performance.now() - before < 5000, `${name} took too long`);
    }
  });
}

function refusal(bytes: Uint8Array): string {
  try {
    sourceOf("t", bytes);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return "";
}

test("what is too large, not UTF-8 or has a NUL is refused at its place", () => {
  assert.match(refusal(new Uint8Array(textBytesMax + 1)), /^t:1:1: is larger than 1048576 bytes/);
  assert.match(refusal(Buffer.from("a=b\nc=\xff", "latin1")), /^t:2:3: is not UTF-8/);
  assert.match(refusal(Buffer.from("a=b\nü=\xe2\x82", "latin1")), /^t:2:1: is not UTF-8/);
  assert.match(refusal(Buffer.from("a\nb\0c")), /^t:2:2: is a NUL/);
});

test("entities and document types of XML are refused", () => {
  const libvirt = formats.find(({ name }) => name === "libvirt-xml");
  for (const text of [
    "<!DOCTYPE d [<!ENTITY a \"b\"><!ENTITY c \"&a;&a;\">]>\n<domain><name>&c;</name></domain>",
    "<!DOCTYPE d SYSTEM \"file:///etc/passwd\">\n<domain/>",
  ]) {
    assert.throws(() => libvirt?.read(sourceOf("t", Buffer.from(text)), {}),
      /t:1:[0-9]+: document types and entities are refused/);
  }
  assert.throws(() => libvirt?.read(sourceOf("t", Buffer.from("<domain><name>&c;</name></domain>")),
    {}), /t:1:[0-9]+: undefined entity/);
});
