/** Our keys as UCL, with the shortcuts of structured texts. */
import type { Format } from "../format.ts";
import { nestedText } from "../nested.ts";
import { structuredEntries } from "../structured.ts";
import { readUcl } from "./parser.ts";

export const ucl: Format = {
  name: "ucl",
  help: "our keys as UCL, with includes, variables and shortcuts",
  endings: [".ucl", ".conf"],
  keepsReferences: true,
  read: (source, options) =>
    ({ entries: structuredEntries(readUcl(source, options), options.machine), losses: [] }),
  write(ours) {
    const text = nestedText(ours, {
      open: (name) => `${nameText(name)} {`, close: "}", separator: "",
      leaf: (name, value) => `${nameText(name)} = ${valueText(value)};`,
    }, 0);
    return { text: text === "" ? "" : `${text}\n`, losses: [] };
  },
};

function nameText(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : JSON.stringify(name);
}

function valueText(value: string): string {
  return JSON.stringify(value).replaceAll("$", "$$$$");
}
