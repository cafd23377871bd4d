/** What readers of foreign texts have in common. */
import { ConfigError } from "../base/errors.ts";
import { Draft } from "./draft.ts";
import { Entries, lossesOf } from "./entries.ts";
import type { Entry } from "./entries.ts";
import type { ReadOptions, ReadResult } from "./format.ts";
import type { Source } from "./source.ts";
import { leavesOf } from "./value.ts";
import type { Value } from "./value.ts";

/** A machine has a few hundred settings; looking them up must stay quick. */
const settingsMax = 4096;

/** The settings of a foreign text, bounded in number. */
export function foreignEntries(list: readonly Entry[]): Entries {
  checkCount(list);
  return new Entries(list);
}

/** Throws ConfigError at the first setting that is too much. */
export function checkCount(list: readonly Entry[]): void {
  const beyond = list[settingsMax];
  if (beyond) {
    throw new ConfigError({
      key: beyond.at, message: `there are more than ${settingsMax} settings; allowed: up to that`,
    });
  }
}

/** Every text of a structured value as a setting: `drives.0.path_on_host`. */
export function entriesOfValue(value: Value): Entries {
  const list: Entry[] = [];
  for (const { path, leaf } of leavesOf(value)) {
    list.push({ key: path, value: leaf.text, at: leaf.at });
    if (list.length > settingsMax) {
      break;
    }
  }
  return foreignEntries(list);
}

/** Ends a reading: the board is whole, the name is the wanted one, the rest is lost. */
export function finishReading(
  draft: Draft, theirs: Entries, source: Source, options: ReadOptions,
): ReadResult {
  if (options.machine !== undefined) {
    draft.raise();
    draft.set("name", options.machine, source.at(0));
  }
  draft.completeBoard();
  draft.wireForPassthru();
  return { entries: draft.finish(), losses: lossesOf(theirs, "has no counterpart") };
}

/** Lines of `key = value`, the value with or without quotation marks. */
export function assignmentLines(source: Source, { commentInQuotes = false } = {}): Entries {
  const list: Entry[] = [];
  let offset = 0;
  for (const line of source.text.split("\n")) {
    const cut = commentInQuotes ? line.replace(/#.*$/, "") : line.replace(/^\s*#.*$/, "");
    const [, lead = "", key = "", value = ""] = /^(\s*)([^=\s]+)\s*=\s*(.*?)\s*$/.exec(cut) ?? [];
    if (cut.trim() !== "") {
      if (key === "") {
        throw source.error(offset + cut.search(/\S/), "is no setting; expected: key = \"value\"");
      }
      list.push({ key, value: unquoted(value, source, offset + lead.length), at:
        source.at(offset + lead.length) });
      checkCount(list);
    }
    offset += line.length + 1;
  }
  const seen = new Map<string, string>();
  for (const { key, at } of list) {
    const before = seen.get(key);
    if (before !== undefined) {
      throw new ConfigError({ key: at, message: `${key} is given twice, first at ${before}` });
    }
    seen.set(key, at);
  }
  return foreignEntries(list);
}

function unquoted(value: string, source: Source, offset: number): string {
  const quote = value.charAt(0);
  if (quote !== "\"" && quote !== "'") {
    return value;
  }
  if (value.length < 2 || !value.endsWith(quote)) {
    throw source.error(offset, `${quote} is not closed`);
  }
  return value.slice(1, -1);
}
