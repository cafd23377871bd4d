import { testFolder } from "../support/folder.ts";
import { assert } from "../support/harness.ts";
import { testWith } from "../support/programs.ts";
import { diskKinds, neededFor, surviveKills } from "./durability.ts";

/** `npm run test:durability` sets it; by default a slice that takes seconds. */
const kills = Number(process.env["KILLS"] ?? 3);

for (const kind of diskKinds) {
  testWith(neededFor[kind], `${kind}: what was acknowledged survives ${kills} kills`, async () => {
    const entries = await surviveKills(kind, kills, testFolder());
    console.log(`${kind}: ${entries} entries, ${kills} kills`);
    assert.ok(entries > kills, "each life has written");
  });
}
