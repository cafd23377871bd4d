/**
 * UCL (the configuration language of libucl): objects, lists, comments, here-documents, variables,
 * named sections, includes. A name that comes twice gives two members.
 */
import { ConfigError } from "../../base/errors.ts";
import { readJsonString } from "../json-text.ts";
import type { ReadOptions } from "../format.ts";
import type { Source } from "../source.ts";
import { checkDepth } from "../value.ts";
import type { Member, ObjectValue, Value } from "../value.ts";
import { expandVariables, withoutSuffix } from "./words.ts";

/** Files may include files, but not without end. */
const includeDepthMax = 16;
const includesMax = 256;

interface Including {
  readonly chain: readonly string[];
  readonly options: ReadOptions;
  /** Files read so far, over all. */
  readonly count: { files: number };
}

export function readUcl(source: Source, options: ReadOptions): ObjectValue {
  const including = { chain: [source.name], options, count: { files: 0 } };
  return { kind: "object", members: new UclReader(source, including).all(), at: source.at(0) };
}

class UclReader {
  readonly #source: Source;
  readonly #text: string;
  readonly #including: Including;
  readonly #variables: ReadonlyMap<string, string>;
  #at = 0;

  constructor(source: Source, including: Including) {
    this.#source = source;
    this.#text = source.text;
    this.#including = including;
    const folder = source.name.includes("/") ? source.name.replace(/\/[^/]*$/, "") : ".";
    this.#variables = new Map([["FILENAME", source.name], ["CURDIR", folder],
      ...including.options.variables ?? []]);
  }

  /** The members of the whole text, with or without braces around. */
  all(depth = 0): readonly Member[] {
    if (this.#text.charCodeAt(0) === 0xfeff) {
      this.#at = 1; // A byte order mark.
    }
    this.#skip();
    const braced = this.#accept("{");
    const members = this.#members(depth, braced ? "}" : "");
    this.#skip();
    if (this.#at < this.#text.length) {
      throw this.#wrong("the end of the text");
    }
    return members;
  }

  #wrong(wanted: string): ConfigError {
    const found = this.#text.charAt(this.#at);
    return this.#source.error(this.#at,
      `${found === "" ? "the text ends" : JSON.stringify(found)}; expected: ${wanted}`);
  }

  #accept(word: string): boolean {
    const found = this.#text.startsWith(word, this.#at);
    this.#at += found ? word.length : 0;
    return found;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (!found) {
      return undefined;
    }
    this.#at = pattern.lastIndex;
    return found;
  }

  /** Blanks and comments; those with stars may be nested. */
  #skip(blanks = /[\s]+/y): void {
    for (;;) {
      if (this.#match(blanks)) {
        continue;
      }
      if (this.#text.startsWith("#", this.#at)) {
        this.#match(/[^\n]*/y);
      } else if (this.#text.startsWith("/*", this.#at)) {
        this.#comment();
      } else {
        return;
      }
    }
  }

  #comment(): void {
    const start = this.#at;
    let depth = 0;
    do {
      const mark = this.#match(/[^]*?(\/\*|\*\/)/y);
      if (!mark) {
        throw this.#source.error(start, "this comment is not closed");
      }
      depth += mark[1] === "/*" ? 1 : -1;
    } while (depth > 0);
  }

  #members(depth: number, end: string): readonly Member[] {
    checkDepth(depth, this.#source.at(this.#at));
    const members: Member[] = [];
    for (;;) {
      this.#skip(/[\s;,]+/y);
      if (this.#at >= this.#text.length) {
        if (end === "") {
          return members;
        }
        throw this.#wrong(end);
      }
      if (end !== "" && this.#accept(end)) {
        return members;
      }
      if (this.#text.startsWith(".", this.#at)) {
        members.push(...this.#macro(depth));
      } else {
        members.push(this.#member(depth));
      }
    }
  }

  #name(): string {
    const letter = this.#text.charAt(this.#at);
    if (letter === "\"") {
      const { text, end } = readJsonString(this.#source, this.#at);
      this.#at = end;
      return text;
    }
    if (letter === "'") {
      return this.#single();
    }
    const name = this.#match(/[^\s={}[\]:;,"'#]+/y)?.[0];
    if (name === undefined) {
      throw this.#wrong("a name");
    }
    return name;
  }

  /** `name = value`, `name value`, `name { … }`, `name other { … }`. */
  #member(depth: number): Member {
    const at = this.#source.at(this.#at);
    const name = this.#name();
    this.#skip(/[ \t]+/y);
    if (this.#match(/\s*[=:]/y)) {
      this.#skip();
      return { name, value: this.#value(depth + 1), at };
    }
    const section = this.#section(depth + 1);
    if (section) {
      return { name, value: section, at };
    }
    this.#skip(/[ \t]+/y);
    if (/[\n;,}]/.test(this.#text.charAt(this.#at)) || this.#at >= this.#text.length) {
      throw this.#wrong(`a value of ${name}`);
    }
    return { name, value: this.#value(depth + 1), at };
  }

  /** `{ … }` behind no or some more names, each of which makes an object around it. */
  #section(depth: number): Value | undefined {
    const start = this.#at;
    const at = this.#source.at(start);
    const more = this.#match(/((?:[\w.-]+|"(?:[^"\\\n]|\\.)*")[ \t]+)*\{/y);
    if (!more) {
      return undefined;
    }
    this.#at = start;
    const names: string[] = [];
    while (!this.#accept("{")) {
      names.push(this.#name());
      this.#skip(/[ \t]+/y);
    }
    checkDepth(depth + names.length, at);
    let value: Value = { kind: "object", members: this.#members(depth + names.length, "}"), at };
    for (const name of names.toReversed()) {
      value = { kind: "object", members: [{ name, value, at }], at };
    }
    return value;
  }

  #value(depth: number): Value {
    this.#source.countValue(this.#at);
    const at = this.#source.at(this.#at);
    checkDepth(depth, at);
    if (this.#accept("{")) {
      return { kind: "object", members: this.#members(depth, "}"), at };
    }
    if (this.#accept("[")) {
      return { kind: "list", items: this.#items(depth), at };
    }
    const letter = this.#text.charAt(this.#at);
    if (letter === "\"") {
      const { text, end } = readJsonString(this.#source, this.#at);
      this.#at = end;
      return { kind: "text", text: expandVariables(text, this.#variables), at };
    }
    if (letter === "'") {
      return { kind: "text", text: this.#single(), at };
    }
    const mark = this.#match(/<<([A-Z]+)\n/y)?.[1];
    return mark === undefined ? this.#plain(at)
      : { kind: "text", text: expandVariables(this.#hereDocument(mark, at), this.#variables), at };
  }

  #items(depth: number): readonly Value[] {
    const items: Value[] = [];
    for (;;) {
      this.#skip(/[\s;,]+/y);
      if (this.#accept("]")) {
        return items;
      }
      if (this.#at >= this.#text.length) {
        throw this.#wrong("]");
      }
      items.push(this.#value(depth + 1));
    }
  }

  /** Single quotes: only `\'` and a line that goes on mean something. */
  #single(): string {
    const start = this.#at;
    const found = this.#match(/'((?:[^'\\]|\\[^])*)'/y)?.[1];
    if (found === undefined) {
      throw this.#source.error(start, "this string is not closed");
    }
    return found.replace(/\\('|\n)/g, (_whole, letter) => letter === "'" ? "'" : "");
  }

  #hereDocument(mark: string, at: string): string {
    const line = new RegExp(`^${mark}$`, "gm");
    line.lastIndex = this.#at;
    const end = line.exec(this.#text);
    if (!end) {
      throw new ConfigError({ key: at, message: `this text is not closed; expected: a line ${
        mark}` });
    }
    const text = this.#text.slice(this.#at, Math.max(end.index - 1, this.#at));
    this.#at = line.lastIndex;
    return text;
  }

  /** Without quotes, up to the end of the line or a separator. */
  #plain(at: string): Value {
    const word = this.#match(/(?:[^\n;,}\]/#]|\/(?!\*)|(?<=\S)#)+/y)?.[0].trimEnd() ?? "";
    if (word === "") {
      throw this.#wrong("a value");
    }
    if (word === "null") {
      throw new ConfigError({ key: at, message: "null is no value; allowed: texts, numbers, "
        + "switches" });
    }
    const plain = withoutSuffix(word);
    return plain === undefined ? { kind: "text", text: expandVariables(word, this.#variables), at }
      : { kind: "text", text: plain, at, raw: word };
  }

  /** `.include "file"`, `.try_include "file"`, `.include(try=true) "file"`. */
  #macro(depth: number): readonly Member[] {
    const start = this.#at;
    const [, name, parameters = ""] = this.#match(/\.(\w+)[ \t]*(?:\(([^)\n]*)\))?[ \t]*/y) ?? [];
    if (name !== "include" && name !== "try_include") {
      throw this.#source.error(start, `.${name ?? ""} is not known; allowed: .include and `
        + ".try_include");
    }
    const [, word] = /^\s*try\s*=\s*(true|false)\s*$/.exec(parameters) ?? [];
    if (parameters !== "" && word === undefined) {
      throw this.#source.error(start, `(${parameters}) is not known; allowed: (try=true)`);
    }
    const value = this.#value(depth);
    if (value.kind !== "text") {
      throw this.#source.error(start, ".include wants a file's name");
    }
    return this.#include(value.text, start, depth, name === "try_include" || word === "true");
  }

  #include(path: string, start: number, depth: number, tolerant: boolean): readonly Member[] {
    const { chain, options, count } = this.#including;
    count.files += 1;
    if (!options.include || chain.length > includeDepthMax || count.files > includesMax) {
      throw this.#source.error(start, options.include ? `more than ${includeDepthMax} files in `
        + `files, or ${includesMax} in all` : "files cannot be included here");
    }
    let inner: Source;
    try {
      inner = options.include(path, this.#source);
    } catch (error) {
      if (error instanceof ConfigError) {
        if (tolerant) {
          return [];
        }
        throw new ConfigError(error.problems.map((problem) =>
          ({ ...problem, key: this.#source.at(start) })), error.status);
      }
      throw error;
    }
    if (chain.includes(inner.name)) {
      throw this.#source.error(start,
        `includes in a circle: ${[...chain, inner.name].join(" -> ")}`);
    }
    const below = { chain: [...chain, inner.name], options, count };
    return new UclReader(inner, below).all(depth);
  }
}
