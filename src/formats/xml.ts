/** XML by the package saxes, without document types: no entities but the five, nothing external. */
import { SaxesParser } from "saxes";
import { ConfigError } from "../base/errors.ts";
import type { Entry } from "./entries.ts";
import { checkCount, foreignEntries } from "./foreign.ts";
import type { Entries } from "./entries.ts";
import type { Source } from "./source.ts";
import { depthMax } from "./value.ts";

interface Open {
  readonly path: string;
  readonly counts: Map<string, number>;
  readonly at: string;
  text: string;
  empty: boolean;
}

/** Elements whose repetition is ordinary: their paths get a number, `disk.0`. */
export type IsNumbered = (name: string) => boolean;

/**
 * Every attribute and text by its path: `devices.disk.0.source@file`, `memory`. An element with
 * neither gives an empty text. Throws ConfigError with the place.
 */
export function readXml(source: Source, isNumbered: IsNumbered): Entries {
  const list: Entry[] = [];
  const parser = new SaxesParser({ xmlns: false, position: true });
  const here = () => source.place(parser.line, parser.column + 1);
  const stack: Open[] = [];
  const fail = (message: string, at = here()): never => {
    throw new ConfigError({ key: at, message });
  };
  parser.on("error", (error) => {
    const [, line, column, message]
      = /^(?:.*:)?([0-9]+):([0-9]+): ([^]*)$/.exec(error.message) ?? [];
    fail(message ?? error.message,
      line === undefined ? here() : source.place(Number(line), Number(column) + 1));
  });
  parser.on("doctype", () => fail("document types and entities are refused; allowed: none"));
  let start = source.at(0);
  parser.on("opentagstart", () => { start = here(); });
  parser.on("opentag", (tag) => {
    const above = stack.at(-1);
    if (stack.length >= depthMax) {
      fail(`elements are nested more than ${depthMax} deep`);
    }
    const path = pathBelow(above, tag.name, isNumbered, (message) => fail(message, start));
    if (above) {
      above.empty = false;
    }
    stack.push({ path, counts: new Map(), at: start, text: "", empty: true });
    for (const [name, value] of Object.entries(tag.attributes)) {
      list.push({ key: `${path}@${name}`, value, at: start });
    }
    checkCount(list);
  });
  const addText = (text: string) => {
    const top = stack.at(-1);
    if (top) {
      top.text += text;
    }
  };
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", (tag) => {
    const done = stack.pop();
    const text = done?.text.trim() ?? "";
    if (done && (text !== "" || (done.empty && Object.keys(tag.attributes).length === 0))) {
      list.push({ key: done.path, value: text, at: done.at });
    }
  });
  parser.write(source.text).close();
  return foreignEntries(list);
}

function pathBelow(
  above: Open | undefined, name: string, isNumbered: IsNumbered, fail: (message: string) => never,
): string {
  if (!above) {
    return name;
  }
  const count = above.counts.get(name) ?? 0;
  above.counts.set(name, count + 1);
  if (count > 0 && !isNumbered(name)) {
    fail(`${name} is given twice; allowed: once`);
  }
  return `${above.path}.${name}${isNumbered(name) ? `.${count}` : ""}`;
}

const entities = new Map([
  ["&", "&amp;"], ["<", "&lt;"], [">", "&gt;"], ["\"", "&quot;"], ["'", "&apos;"],
]);

/** Text that stands between tags or in quotation marks; undefined if XML cannot hold it. */
export function xmlText(text: string): string | undefined {
  return /(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/u.test(text) ? undefined
    : text.replace(/[&<>"']/g, (letter) => entities.get(letter) ?? letter)
      .replace(/[\t\n\r]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** An element to be written; one with neither text nor children is closed at once. */
export interface Element {
  readonly name: string;
  readonly attributes?: Readonly<Record<string, string | undefined>>;
  readonly text?: string;
  readonly children?: readonly Element[];
}

/** Throws nothing: what XML cannot hold is left out, and the caller's check reports it. */
export function writeXml(element: Element, depth = 0): string {
  const indent = "  ".repeat(depth);
  const attributes = Object.entries(element.attributes ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [` ${name}="${xmlText(value) ?? ""}"`]).join("");
  const head = `${indent}<${element.name}${attributes}`;
  if (element.text !== undefined) {
    return `${head}>${xmlText(element.text) ?? ""}</${element.name}>\n`;
  }
  const children = (element.children ?? []).map((child) => writeXml(child, depth + 1)).join("");
  return children === "" ? `${head}/>\n` : `${head}>\n${children}${indent}</${element.name}>\n`;
}
