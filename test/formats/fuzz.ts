/** Mutated texts for every reader: it returns a value or an error that names its place. */
import { ConfigError } from "../../src/base/errors.ts";
import { Entries } from "../../src/formats/entries.ts";
import type { Format } from "../../src/formats/format.ts";
import { sourceOf } from "../../src/formats/source.ts";
import { randomSource } from "../support/random.ts";
import { randomMachine } from "./machines.ts";
import { samplesOf } from "./samples.ts";

const tokens = ["\"", "'", "{", "}", "[", "]", "<", ">", "&amp;", "&x;", "<!DOCTYPE a>", "=", ":",
  ",", ";", "\n", "\\", "#", "/*", "*/", "<<EOD\n", "%(", ")", "$", "${", "\0", "\u00ff", "-s ",
  "-o ", "999999999999999999999", "-1", "0x", "true", ".include \"x\"\n", "[[", "]]", "e9", "\t",
  "pci.0.3.0.device=", "__proto__", "constructor", "<a>", "</a>", "<![CDATA[", "-device "];

/** One to four changes of a text's bytes. */
export function mutate(bytes: Uint8Array, random: () => number): Uint8Array {
  let result = Buffer.from(bytes);
  for (let changes = 1 + random() % 4; changes > 0; changes -= 1) {
    const at = random() % (result.length + 1);
    const length = random() % 2 === 0 ? random() % 4 : random() % 40;
    const kept = [result.subarray(0, at), result.subarray(Math.min(at + length, result.length))];
    const [head = result, tail = result] = kept;
    switch (random() % 5) {
      case 0: result = Buffer.concat([head, tail]); break;
      case 1: result = Buffer.concat([head, Buffer.of(random() % 256), result.subarray(at)]); break;
      case 2: result = Buffer.concat([head, Buffer.from(tokens[random() % tokens.length] ?? ""),
        result.subarray(at)]); break;
      case 3: result = Buffer.concat([result.subarray(0, Math.min(at + length, result.length)),
        result.subarray(at)]); break;
      default: result = Buffer.concat([head, Buffer.of(random() % 256), tail]);
    }
  }
  return result;
}

export interface FuzzReport {
  readonly read: number;
  readonly refused: number;
  readonly slowestMs: number;
}

const place = /:[0-9]+:[0-9]+/;

/** Reads `count` mutated texts; throws on anything but a value or a placed error. */
export function fuzz(format: Format, count: number, seed: number): FuzzReport {
  const random = randomSource(seed);
  const seeds = [
    ...Array.from({ length: 30 }, () => format.write(new Entries(randomMachine(random))).text),
    ...samplesOf(format.name).map(({ text }) => text),
  ].map((text) => Buffer.from(text));
  let read = 0, refused = 0, slowestMs = 0;
  for (let index = 0; index < count; index += 1) {
    const bytes = mutate(seeds[random() % seeds.length] ?? Buffer.alloc(0), random);
    const before = performance.now();
    try {
      format.read(sourceOf("text", bytes), { readFile: () => "a=b\n" });
      read += 1;
    } catch (error) {
      if (!(error instanceof ConfigError) || !error.problems.every(({ key, message }) =>
        place.test(key) || place.test(message))) {
        throw new Error(`${format.name}, seed ${seed}, case ${index}: ${String(error)} for ${
          JSON.stringify(Buffer.from(bytes).toString("latin1"))}`, { cause: error });
      }
      refused += 1;
    }
    slowestMs = Math.max(slowestMs, performance.now() - before);
  }
  return { read, refused, slowestMs };
}
