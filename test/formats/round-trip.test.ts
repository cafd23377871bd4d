/** What is written comes back: for any keys in the formats that hold all, else for any machine. */
import { Entries } from "../../src/formats/entries.ts";
import { formats } from "../../src/formats/registry.ts";
import { Source } from "../../src/formats/source.ts";
import { translate } from "../../src/formats/translate.ts";
import { deviceSchemas } from "../../src/machine/registry.ts";
import { assert, randomSource, seed, test } from "../support/harness.ts";
import { plain, randomKeys, randomMachine } from "./machines.ts";

const rounds = 300;

for (const format of formats.filter(({ keepsReferences }) => keepsReferences)) {
  test(`any keys survive ${format.name} (seed ${seed})`, () => {
    const random = randomSource(seed);
    for (let round = 0; round < rounds; round += 1) {
      const entries = randomKeys(random);
      const { text, losses } = format.write(new Entries(entries));
      assert.deepEqual(losses, [], text);
      const back = format.read(new Source("text", text), {});
      assert.deepEqual(back.losses, [], text);
      assert.deepEqual(plain(back.entries), plain(entries), text);
    }
  });
}

test("order survives where the format has one", () => {
  const random = randomSource(seed + 1);
  for (const format of formats.filter(({ name }) => ["ucl", "json"].includes(name))) {
    for (let round = 0; round < rounds; round += 1) {
      const flat = formats.find(({ name }) => name === "flat");
      const entries = flat?.read(new Source("f",
        flat.write(new Entries(randomKeys(random))).text), {}).entries ?? [];
      const { text } = format.write(new Entries(entries.filter(({ key }) =>
        !/^(disk|vm|console|keys|device)\b/.test(key))));
      const back = format.read(new Source("text", text), {}).entries;
      assert.deepEqual(back.map(({ key }) => key), entries.map(({ key }) => key)
        .filter((key) => !/^(disk|vm|console|keys|device)\b/.test(key)), text);
    }
  }
});

for (const format of formats) {
  test(`machines as ${format.name} has them come back whole (seed ${seed})`, () => {
    const random = randomSource(seed);
    let kept = 0;
    for (let round = 0; round < rounds; round += 1) {
      const first = format.write(new Entries(randomMachine(random))).text;
      const once = format.read(new Source("vm-1.conf", first), {});
      assert.deepEqual(once.losses, [], first);
      const ours = new Entries(once.entries);
      const { text, losses } = format.write(ours);
      const left = ours.left().filter(({ key }) => key !== "name");
      assert.deepEqual([losses, left], [[], []], text);
      const twice = format.read(new Source("vm-1.conf", text), {});
      assert.deepEqual(plain(twice.entries), plain(once.entries), text);
      kept += once.entries.length;
    }
    assert.ok(kept > rounds * 4, "machines have keys");
  });

  test(`every setting that ${format.name} drops is in the loss report (seed ${seed})`, () => {
    const random = randomSource(seed + 2);
    for (let round = 0; round < 100; round += 1) {
      const entries = randomMachine(random);
      const { text, losses } = translate({ entries, losses: [] }, format, deviceSchemas);
      const back = format.read(new Source("other.conf", text), {}).entries;
      const values = new Set(back.map(({ value }) => value));
      const said = losses.map(({ key }) => key);
      for (const { key, value } of entries.filter(({ key: each }) => /path$|mac$|rfb$|kernel$/
        .test(each))) {
        assert.ok(values.has(value) || said.includes(key)
          || said.some((each) => key.startsWith(`${each.replace(/\.device$/, "")}.`)),
        `${format.name} lost ${key}=${value} in silence:\n${text}`);
      }
    }
  });
}
