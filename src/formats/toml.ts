/** TOML by the package smol-toml, with places: it says where it stumbled, we find the rest. */
import { TomlDate, TomlError, parse } from "smol-toml";
import { ConfigError } from "../base/errors.ts";
import type { Source } from "./source.ts";
import { checkDepth } from "./value.ts";
import type { ObjectValue, Value } from "./value.ts";

/** Throws ConfigError with the place. */
export function readToml(source: Source): ObjectValue {
  let table: unknown;
  try {
    table = parse(source.text, { maxDepth: 32, integersAsBigInt: true });
  } catch (error) {
    if (error instanceof TomlError) {
      const [message = ""] = error.message.replace("Invalid TOML document: ", "").split("\n");
      throw new ConfigError({ key: source.place(error.line, error.column), message });
    }
    throw error;
  }
  const value = valueOf(table, "", { source, places: placesOf(source) });
  if (value.kind !== "object") {
    throw source.error(0, "is no table");
  }
  return value;
}

interface Where {
  readonly source: Source;
  readonly places: ReadonlyMap<string, string>;
}

/** Where tables begin and keys stand, by their dotted paths, as far as lines show it. */
function placesOf(source: Source): ReadonlyMap<string, string> {
  const places = new Map<string, string>();
  const counts = new Map<string, number>();
  const plain = (name: string) => name.replace(/["'\s]/g, "");
  let table = "";
  for (const [index, line] of source.text.split("\n").entries()) {
    const [, lead = "", bracket, header = ""] = /^(\s*)(\[\[?)([^\]]+)\]/.exec(line) ?? [];
    const [, keyLead = "", key = ""] = /^(\s*)([\w."'-]+)\s*=/.exec(line) ?? [];
    if (bracket !== undefined) {
      const count = counts.get(header) ?? 0;
      counts.set(header, count + 1);
      table = plain(header) + (bracket === "[[" ? `.${count}` : "");
      places.set(table, source.place(index + 1, lead.length + 1));
    } else if (key !== "") {
      places.set(table === "" ? plain(key) : `${table}.${plain(key)}`,
        source.place(index + 1, keyLead.length + 1));
    }
  }
  return places;
}

function valueOf(value: unknown, path: string, where: Where, depth = 0): Value {
  const at = where.places.get(path) ?? nearestPlace(path, where);
  checkDepth(depth, at);
  const below = (name: string) => path === "" ? name : `${path}.${name}`;
  if (Array.isArray(value)) {
    return { kind: "list", at, items: value.map((item, index) =>
      valueOf(item, below(String(index)), where, depth + 1)) };
  }
  if (value instanceof TomlDate) {
    return { kind: "text", text: value.toISOString(), at };
  }
  if (typeof value === "object" && value !== null) {
    return { kind: "object", at, members: Object.entries(value).map(([name, inner]) => {
      const member = valueOf(inner, below(name), where, depth + 1);
      return { name, value: member, at: member.at };
    }) };
  }
  return { kind: "text", text: String(value), at };
}

/** What has no line of its own stands in the nearest thing that has. */
function nearestPlace(path: string, { source, places }: Where): string {
  for (let dot = path.lastIndexOf("."); dot > 0; dot = path.lastIndexOf(".", dot - 1)) {
    const found = places.get(path.slice(0, dot));
    if (found !== undefined) {
      return found;
    }
  }
  return source.at(0);
}

/** A basic string (TOML 1.0), which is JSON's but for two letters. */
export function tomlString(text: string): string {
  return JSON.stringify(text).replaceAll("\u007f", "\\u007F");
}
