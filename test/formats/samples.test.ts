/** Descriptions as people have them, each with its flat form beside it. `UPDATE=1` writes those. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Entries } from "../../src/formats/entries.ts";
import { flat } from "../../src/formats/flat.ts";
import { formats, guessFormat } from "../../src/formats/registry.ts";
import { Source } from "../../src/formats/source.ts";
import { translate } from "../../src/formats/translate.ts";
import { differences } from "../../src/formats/difference.ts";
import { deviceSchemas } from "../../src/machine/registry.ts";
import { assert, test } from "../support/harness.ts";
import { samplesOf } from "./samples.ts";

for (const format of formats) {
  const samples = samplesOf(format.name);
  test(`there are samples of ${format.name}`, () => assert.ok(samples.length > 0));
  for (const { name, text, flatPath } of samples) {
    test(`${format.name}/${name} in its flat form, with what is lost`, () => {
      const { entries, losses } = format.read(new Source(name, text), {});
      const found = flat.write(new Entries(entries)).text
        + losses.map(({ key, value, reason, at }) =>
          `# lost: ${key}=${value ?? ""}: ${reason} (${at ?? ""})\n`).join("");
      if (process.env["UPDATE"] === "1") {
        writeFileSync(flatPath, found);
      }
      assert.ok(existsSync(flatPath), "UPDATE=1 writes the flat form");
      assert.equal(found, readFileSync(flatPath, "utf8"));
      assert.equal(guessFormat(name, text)?.name, format.name, "its format is guessed");
    });

    test(`${format.name}/${name} means the same after a way through ucl, json and argv`, () => {
      const machine = format.name === "firecracker-json" ? { machine: "micro" } : {};
      const first = format.read(new Source(name, text), machine);
      for (const to of formats.filter(({ keepsReferences }) => keepsReferences)) {
        const there = translate({ ...first, losses: [] }, to, deviceSchemas);
        assert.deepEqual(there.losses, [], to.name);
        const back = to.read(new Source(name, there.text), {});
        assert.deepEqual(differences(first.entries, back.entries, deviceSchemas), [], to.name);
      }
    });
  }
}
