/** QEMU's option strings, `key=value,key=value` with a doubled comma for a comma. */
import type { Entry } from "./entries.ts";
import { foreignEntries } from "./foreign.ts";
import type { Entries } from "./entries.ts";

/** One flag of a command line, with its option string taken apart. */
export interface QemuFlag {
  readonly flag: string;
  readonly argument: string;
  readonly at: string;
  /** The first field without `=` by the name `""`. */
  readonly options: Entries;
}

export function qemuOptions(text: string, at: string): Entries {
  const list: Entry[] = [];
  for (const [index, item] of text.replaceAll(",,", "\0").split(",").entries()) {
    const plain = item.replaceAll("\0", ",");
    const equals = plain.indexOf("=");
    const key = equals >= 0 ? plain.slice(0, equals) : index === 0 ? "" : plain;
    list.push({ key, value: equals >= 0 ? plain.slice(equals + 1) : index === 0 ? plain : "on",
      at });
  }
  return foreignEntries(list);
}

/** `key=value,…`; fields without a value are left out. */
export function optionText(
  first: string, fields: readonly (readonly [key: string, value: string | undefined])[],
): string {
  const items = fields.flatMap(([key, value]) => value === undefined ? []
    : [`${key}=${value.replaceAll(",", ",,")}`]);
  return [...(first === "" ? [] : [first]), ...items].join(",");
}
