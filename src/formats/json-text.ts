/** JSON (RFC 8259) with places; a name that comes twice in one object is an error. */
import type { Source } from "./source.ts";
import { checkDepth } from "./value.ts";
import type { Member, ObjectValue, Value } from "./value.ts";

const escapes = new Map([
  ["\"", "\""], ["\\", "\\"], ["/", "/"], ["b", "\b"], ["f", "\f"], ["n", "\n"], ["r", "\r"],
  ["t", "\t"],
]);

/** The string that begins with the quotation mark at `start`; `end` is behind its last mark. */
export function readJsonString(source: Source, start: number): { text: string; end: number } {
  const { text } = source;
  let found = "";
  let at = start + 1;
  for (;;) {
    const letter = text.charAt(at);
    if (letter === "\"") {
      return { text: found, end: at + 1 };
    }
    if (letter === "" || letter === "\n") {
      throw source.error(start, "this string is not closed");
    }
    if (letter !== "\\") {
      if (letter < " " && letter !== "\t") {
        throw source.error(at, "is a control character; allowed: an escape such as \\u0007");
      }
      found += letter;
      at += 1;
      continue;
    }
    const hex = /^u([0-9a-fA-F]{4})/.exec(text.slice(at + 1, at + 6))?.[1];
    const plain = escapes.get(text.charAt(at + 1));
    if (hex === undefined && plain === undefined) {
      throw source.error(at, "is no escape; allowed: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
    }
    found += hex === undefined ? plain : String.fromCharCode(Number.parseInt(hex, 16));
    at += hex === undefined ? 2 : 6;
  }
}

export function readJson(source: Source): ObjectValue {
  const reader = new JsonReader(source);
  const value = reader.document();
  if (value.kind !== "object") {
    throw source.error(0, "is no object; allowed: { … }");
  }
  return value;
}

class JsonReader {
  readonly #source: Source;
  #at = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  document(): Value {
    const value = this.#value(0);
    this.#blanks();
    if (this.#at < this.#source.text.length) {
      throw this.#wrong("the end of the text");
    }
    return value;
  }

  #wrong(wanted: string) {
    const found = this.#source.text.charAt(this.#at);
    return this.#source.error(this.#at,
      `${found === "" ? "the text ends" : JSON.stringify(found)}; expected: ${wanted}`);
  }

  #blanks(): void {
    const blank = /[ \t\r\n]*/y;
    blank.lastIndex = this.#at;
    blank.exec(this.#source.text);
    this.#at = blank.lastIndex;
  }

  /** Whether the next letter that is no blank is this one, which is then behind us. */
  #accept(letter: string): boolean {
    this.#blanks();
    const found = this.#source.text.charAt(this.#at) === letter;
    this.#at += found ? 1 : 0;
    return found;
  }

  #value(depth: number): Value {
    this.#blanks();
    this.#source.countValue(this.#at);
    const at = this.#source.at(this.#at);
    checkDepth(depth, at);
    if (this.#accept("{")) {
      return { kind: "object", members: this.#members(depth), at };
    }
    if (this.#accept("[")) {
      return { kind: "list", items: this.#items(depth), at };
    }
    if (this.#source.text.charAt(this.#at) === "\"") {
      return { kind: "text", text: this.#string(), at };
    }
    const word = /(?:true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![\w.])/y;
    word.lastIndex = this.#at;
    const text = word.exec(this.#source.text)?.[0];
    if (text === undefined) {
      throw this.#wrong("an object, a list, a string, a number, true or false");
    }
    this.#at = word.lastIndex;
    return { kind: "text", text, at };
  }

  #string(): string {
    const { text, end } = readJsonString(this.#source, this.#at);
    this.#at = end;
    return text;
  }

  #items(depth: number): readonly Value[] {
    const items: Value[] = [];
    while (!(items.length === 0 && this.#accept("]"))) {
      items.push(this.#value(depth + 1));
      if (this.#accept("]")) {
        break;
      }
      if (!this.#accept(",")) {
        throw this.#wrong(", or ]");
      }
    }
    return items;
  }

  #members(depth: number): readonly Member[] {
    const members: Member[] = [];
    const places = new Map<string, string>();
    while (!(members.length === 0 && this.#accept("}"))) {
      this.#blanks();
      if (this.#source.text.charAt(this.#at) !== "\"") {
        throw this.#wrong("a name in quotation marks");
      }
      const offset = this.#at;
      const at = this.#source.at(offset);
      const name = this.#string();
      const before = places.get(name);
      if (before !== undefined) {
        throw this.#source.error(offset, `${JSON.stringify(name)} is given twice, first at ${
          before}`);
      }
      places.set(name, at);
      if (!this.#accept(":")) {
        throw this.#wrong(":");
      }
      members.push({ name, value: this.#value(depth + 1), at });
      if (this.#accept("}")) {
        break;
      }
      if (!this.#accept(",")) {
        throw this.#wrong(", or }");
      }
    }
    return members;
  }
}
