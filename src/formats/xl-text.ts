/** The syntax of xl.cfg(5): assignments of numbers, strings and lists, as in Python. */
import { ConfigError } from "../base/errors.ts";
import type { Source } from "./source.ts";
import { checkDepth } from "./value.ts";
import type { Member, ObjectValue, Value } from "./value.ts";

export function readXlText(source: Source): ObjectValue {
  const reader = new XlReader(source);
  return { kind: "object", members: reader.assignments(), at: source.at(0) };
}

class XlReader {
  readonly #source: Source;
  #at = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source.text);
    if (found) {
      this.#at = pattern.lastIndex;
    }
    return found ?? undefined;
  }

  #wrong(wanted: string): ConfigError {
    const found = this.#source.text.charAt(this.#at);
    return this.#source.error(this.#at,
      `${found === "" ? "the text ends" : JSON.stringify(found)}; expected: ${wanted}`);
  }

  #skip(blanks: RegExp): void {
    while (this.#match(blanks) || this.#match(/#[^\n]*/y)) {
      // Both may follow each other any number of times.
    }
  }

  assignments(): readonly Member[] {
    const members: Member[] = [];
    const places = new Map<string, string>();
    for (;;) {
      this.#skip(/[\s;]+/y);
      if (this.#at >= this.#source.text.length) {
        return members;
      }
      const at = this.#source.at(this.#at);
      const name = this.#match(/[A-Za-z_]\w*/y)?.[0];
      if (name === undefined) {
        throw this.#wrong("a name");
      }
      const before = places.get(name);
      if (before !== undefined) {
        throw new ConfigError({ key: at, message: `${name} is given twice, first at ${before}` });
      }
      places.set(name, at);
      if (!this.#match(/[ \t]*=[ \t]*/y)) {
        throw this.#wrong("=");
      }
      members.push({ name, value: this.#value(0), at });
      this.#skip(/[ \t]+/y);
      if (this.#at < this.#source.text.length && !this.#match(/[;\n\r]/y)) {
        throw this.#wrong("the end of the line, or ;");
      }
    }
  }

  #value(depth: number): Value {
    this.#source.countValue(this.#at);
    const at = this.#source.at(this.#at);
    checkDepth(depth, at);
    const number = this.#match(/(?:0x[0-9a-fA-F]+|[0-9]+)\b/y)?.[0];
    if (number !== undefined) {
      return { kind: "text", text: number, at };
    }
    if (this.#match(/\[/y)) {
      return { kind: "list", items: this.#items(depth), at };
    }
    const quote = this.#source.text.charAt(this.#at);
    if (quote !== "'" && quote !== "\"") {
      throw this.#wrong("a number, a string or a list");
    }
    const start = this.#at;
    const end = this.#source.text.indexOf(quote, start + 1);
    const line = this.#source.text.indexOf("\n", start);
    if (end < 0 || (line >= 0 && line < end)) {
      throw this.#source.error(start, `${quote} is not closed`);
    }
    this.#at = end + 1;
    return { kind: "text", text: this.#source.text.slice(start + 1, end), at };
  }

  #items(depth: number): readonly Value[] {
    const items: Value[] = [];
    for (;;) {
      this.#skip(/\s+/y);
      if (this.#match(/\]/y)) {
        return items;
      }
      items.push(this.#value(depth + 1));
      this.#skip(/\s+/y);
      if (!this.#match(/,/y) && this.#source.text.charAt(this.#at) !== "]") {
        throw this.#wrong(", or ]");
      }
    }
  }
}

/** A string of xl has no escapes: only what has neither quotes nor line breaks can be written. */
export function xlString(text: string): string | undefined {
  return /[\n\r]/.test(text) ? undefined : !text.includes("\"") ? `"${text}"`
    : !text.includes("'") ? `'${text}'` : undefined;
}
