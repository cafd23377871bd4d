/** Arguments of subcommands: `--name value`, `--name=value`, switches, operands, `--`. */
import { ConfigError, exitStatus } from "../../base/errors.ts";
import { nearest } from "../../config/suggest.ts";

export interface WordTable {
  /** Options that take a value. */
  readonly values: readonly string[];
  readonly switches: readonly string[];
}

export interface Words {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly switches: ReadonlySet<string>;
  readonly operands: readonly string[];
  /** What stands behind `--`. */
  readonly rest: readonly string[];
}

/** Throws ConfigError with status 1, bhyve's of a wrong use. */
export function readWords(words: readonly string[], table: WordTable): Words {
  const values = new Map<string, string[]>();
  const switches = new Set<string>();
  const operands: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (word === "--") {
      return { values, switches, operands, rest: words.slice(index + 1) };
    }
    const [, name = "", value] = /^--([^=]+)(?:=([^]*))?$/.exec(word) ?? [];
    if (!word.startsWith("-") || word === "-") {
      operands.push(word);
    } else if (table.switches.includes(name) && value === undefined) {
      switches.add(name);
    } else if (table.values.includes(name)) {
      const given = value ?? words[index += 1];
      if (given === undefined) {
        throw wrongWord(word, `wants a value`);
      }
      values.set(name, [...values.get(name) ?? [], given]);
    } else {
      throw wrongWord(word, unknownWord(name, table));
    }
  }
  return { values, switches, operands, rest: [] };
}

function wrongWord(word: string, message: string): ConfigError {
  return new ConfigError({ key: word, message }, exitStatus.powerOff);
}

function unknownWord(name: string, { values, switches }: WordTable): string {
  const known = [...values, ...switches];
  const near = nearest(name, known);
  return `is not known${near === undefined ? "" : `; did you mean --${near}?`}; allowed: ${
    known.length === 0 ? "none" : known.map((each) => `--${each}`).join(", ")}`;
}

/** The one value of an option, or undefined; the last counts. */
export function lastOf({ values }: Words, name: string): string | undefined {
  return values.get(name)?.at(-1);
}
