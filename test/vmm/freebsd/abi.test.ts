import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freebsd13 } from "../../../src/vmm/freebsd/abi/freebsd13.ts";
import { freebsd14 } from "../../../src/vmm/freebsd/abi/freebsd14.ts";
import { freebsd15 } from "../../../src/vmm/freebsd/abi/freebsd15.ts";
import { illumos } from "../../../src/vmm/freebsd/abi/illumos.ts";
import { parseLayout, Struct, VmmAbi } from "../../../src/vmm/freebsd/tables.ts";
import { assert, test } from "../../support/harness.ts";
import { repositoryRoot } from "../../support/paths.ts";

interface FactField {
  readonly name: string;
  readonly offset: number;
  readonly type: string;
  readonly bits?: readonly [number, number];
}

interface Facts {
  readonly ioctls: Readonly<Record<string, { readonly value: string }>>;
  readonly structs: Readonly<Record<string, {
    readonly size: number; readonly fields: readonly FactField[];
  }>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly constants?: Readonly<Record<string, number>>;
}

const facts: Readonly<Record<string, Facts>> = JSON.parse(readFileSync(
  join(repositoryRoot, "test", "vmm", "freebsd", "vmm-abi.json"), "utf8")).platforms;

for (const tables of [freebsd13, freebsd14, freebsd15, illumos]) {
  const fact = facts[tables.name];
  assert.ok(fact, tables.name);

  test(`${tables.name}: every ioctl has its number`, () => {
    const numbers = Object.entries(tables.ioctls).filter(([, value]) => value !== undefined);
    assert.deepEqual(Object.fromEntries(numbers), Object.fromEntries(
      Object.entries(fact.ioctls).map(([name, { value }]) => [name, Number(value)])));
  });

  test(`${tables.name}: every structure has its size, every field its offset and bits`, () => {
    const abi = new VmmAbi(tables);
    const names = Object.entries(tables.structs).filter(([, text]) => text !== undefined);
    assert.deepEqual(names.map(([name]) => name).sort(), Object.keys(fact.structs).sort());
    let rows = 0;
    for (const [name, { size, fields }] of Object.entries(fact.structs)) {
      const layout = abi.layout(name);
      assert.equal(layout.size, size, name);
      for (const { name: field, offset, bits, type } of fields) {
        if (/^(struct\b(?!.*\*)|union)/.test(type)) {
          continue; // Its own fields follow by their dotted names.
        }
        rows += 1;
        const ours = layout.fields.get(field);
        assert.equal(ours?.offset, offset, `${name}.${field}`);
        assert.deepEqual(ours?.bits, bits === undefined ? undefined
          : [bits[0], bits[1] - bits[0] + 1], `${name}.${field}`);
        assert.ok(offset + (ours?.size ?? 0) <= size, `${name}.${field} ends in its structure`);
      }
    }
    assert.ok(rows > 200, `${rows} rows were compared`);
  });

  test(`${tables.name}: every constant has its value`, () => {
    const values = Object.entries(tables.constants).filter(([, value]) => value !== undefined);
    assert.deepEqual(Object.fromEntries(values),
      { ...Object.assign({}, ...Object.values(fact.enums)), ...fact.constants });
  });
}

test("fields of all kinds are written and read back", () => {
  const struct = new Struct(parseLayout("x",
    "32; a 0 i32; b 4 u16.0-2; c 4 u16.3-3; d 8 u64; e 16 bytes8; f 24 i64; g 6 u8"));
  struct.set("a", -5).set("b", 5).set("c", 1).set("d", 2 ** 40).set("f", -1n).set("g", 255)
    .setText("e", "long name");
  assert.deepEqual(["a", "b", "c", "d", "g"].map((name) => struct.get(name)),
    [-5, 5, 1, 2 ** 40, 255]);
  assert.equal(struct.big("f"), -1n);
  assert.equal(Buffer.from(struct.part("e")).toString(), "long na\0", "it ends with a NUL");
  struct.set("b", 0);
  assert.equal(struct.get("c"), 1, "neighbours keep their bits");
  assert.throws(() => struct.get("z"), /x\.z is missing/);
});
