/** The grammar of vmm.soft.cpu: levels, features, what follows from what, and mistakes. */
import { cpuFeatureNeeds, cpuLevels, readCpuModel } from "../../src/config/cpu-model.ts";
import { featureTable } from "../../src/cpu/system/features.ts";
import { assert, test } from "../support/harness.ts";

function features(text: string): ReadonlySet<string> {
  const reading = readCpuModel(text);
  assert.ok("value" in reading, text);
  return "value" in reading ? reading.value : new Set();
}

function mistake(text: string): string {
  const reading = readCpuModel(text);
  return "wrong" in reading ? reading.wrong : "";
}

test("each level has the features of the one below", () => {
  const [first, second, third] = ["x86-64-v1", "x86-64-v2", "x86-64-v3"].map(features);
  assert.ok(!first?.has("sse3"));
  assert.ok(second?.has("sse4.2") && second.has("cx16") && !second.has("avx"));
  for (const name of ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe"]) {
    assert.ok(third?.has(name), name);
  }
  assert.ok([...second ?? []].every((name) => third?.has(name)));
  assert.ok(!third?.has("aes"));
});

test("a feature brings what it needs, and takes what needs it", () => {
  assert.ok(features("x86-64-v1,+avx2").has("ssse3"));
  const without = features("x86-64-v3,-avx");
  for (const name of ["avx", "avx2", "fma", "f16c"]) {
    assert.ok(!without.has(name), name);
  }
  assert.ok(without.has("sse4.2") && without.has("bmi2"));
  assert.ok(features("x86-64-v3, -avx2, +sha").has("sha"));
  assert.ok(features("x86-64-v3,-aes,+aes").has("aes"));
});

test("mistakes name the word and what was meant", () => {
  assert.match(mistake("x86-64-v4"), /^"x86-64-v4" is no level; did you mean x86-64-v\d\?; a/);
  assert.match(mistake("x86-64-v3,+aex"), /^"aex" is no feature; did you mean aes\?; allowed: x86/);
  assert.match(mistake("x86-64-v3,sha"), /^"sha" has no \+ or - in front; allowed: /);
  assert.match(mistake("host"), /^"host" is no level; allowed: x86-64-v1/);
  assert.match(mistake(""), /^"" is no level/);
  assert.match(mistake("x86-64-v3,+constructor"), /^"constructor" is no feature/);
});

test("CPUID has a place for every feature", () => {
  assert.deepEqual(Object.keys(featureTable).sort(), Object.keys(cpuFeatureNeeds).sort());
  assert.ok(Object.values(cpuLevels).flat().every((name) => Object.hasOwn(featureTable, name)));
});
