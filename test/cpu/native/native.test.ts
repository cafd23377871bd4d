/**
 * User-mode instructions on the processor of this machine and on ours: a slice;
 * `npm run test:oracle -- native` runs millions.
 */
import { afterAll, assert, seed, skipTest, test } from "../../support/harness.ts";
import { nativeHost, type NativeHost } from "./host.ts";
import { comparedMnemonics, compareWithHost, missingFeatures, report } from "./run.ts";

const host = nativeHost();

/** Not even CLD runs in segments that the kernel refused to make. */
async function hasNarrowSegments(on: NativeHost): Promise<boolean> {
  const probe = { cases: 10, seed, float: false, bits: 16, only: ["cld"] } as const;
  return (await compareWithHost(on, probe)).differ === 0;
}

if (typeof host === "string") {
  skipTest("instructions do what the host's processor does", host);
} else {
  afterAll(() => host.close());
  if (missingFeatures.length > 0) {
    skipTest(`instructions of ${missingFeatures.join(", ")}`, "the host's processor has them not");
  }

  const slices = [
    { what: "integer", float: false, bits: 64, cases: 50_000 },
    { what: "float", float: true, bits: 64, cases: 30_000 },
    { what: "32-bit integer", float: false, bits: 32, cases: 30_000 },
    { what: "32-bit float", float: true, bits: 32, cases: 10_000 },
    { what: "16-bit integer", float: false, bits: 16, cases: 20_000 },
    { what: "compiled integer", float: false, bits: 64, cases: 5_000, compiled: true },
    { what: "compiled float", float: true, bits: 64, cases: 4_000, compiled: true },
  ] as const;
  for (const { what, float, bits, cases, ...tier } of slices) {
    test(`${what} instructions do what the host's processor does`, async () => {
      if (bits === 16 && !await hasNarrowSegments(host)) {
        console.log("skipped: 16-bit code: the kernel of the host has no local descriptor tables");
        return;
      }
      const outcome = await compareWithHost(host, { cases, seed, float, bits, ...tier });
      assert.equal(outcome.differ, 0, `seed ${seed}: ${report(outcome)}`);
      assert.ok(outcome.cases >= cases);
      const compiled = "compiled" in tier;
      assert.equal(outcome.regions > cases / 2, compiled, `${outcome.regions} regions`);
      assert.ok(outcome.faults > cases / 20 && outcome.faults < cases / 2,
        `${outcome.faults} of ${outcome.cases} cases fault`);
    });
  }

  test("every instruction of the table is compared, or is known not to be comparable", () => {
    const { compared, all } = comparedMnemonics();
    assert.ok(compared.length > all.length / 2, `${compared.length} of ${all.length}`);
    for (const mnemonic of ["add", "adc", "idiv", "rcl", "shld", "movs", "enter", "cmpxchg16b",
      "daa", "addps", "x87"]) {
      assert.ok(compared.includes(mnemonic), mnemonic);
    }
    const newer = missingFeatures.length > 0 ? [] : ["pext", "adox", "movbe", "vpaddd", "vfma.pd",
      "vcvtps2ph", "vpgatherqd", "vpmaskmovd.store", "aesenc", "vpclmulqdq", "sha256rnds2"];
    for (const mnemonic of newer) {
      assert.ok(compared.includes(mnemonic), mnemonic);
    }
  });
}
