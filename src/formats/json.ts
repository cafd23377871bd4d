/** Our keys as JSON: nested objects, with the shortcuts of structured texts. */
import type { Format } from "./format.ts";
import { readJson } from "./json-text.ts";
import { nestedText } from "./nested.ts";
import { structuredEntries } from "./structured.ts";

export const json: Format = {
  name: "json",
  help: "our keys as nested JSON objects",
  endings: [".json"],
  keepsReferences: true,
  read: (source, { machine }) =>
    ({ entries: structuredEntries(readJson(source), machine), losses: [] }),
  write(ours) {
    const body = nestedText(ours, {
      open: (name) => `${JSON.stringify(name)}: {`, close: "}", separator: ",",
      leaf: (name, value) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
    }, 1);
    return { text: body === "" ? "{}\n" : `{\n${body}\n}\n`, losses: [] };
  },
};
