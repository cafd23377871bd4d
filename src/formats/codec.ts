/** Values between two spellings, and tables of keys with their counterparts. */
import { MiB } from "../base/units.ts";
import { readBool, readSize } from "../config/values.ts";
import type { Draft } from "./draft.ts";
import type { Entries } from "./entries.ts";

/** One value's two spellings; undefined if there is none on the other side. */
export interface Codec {
  toOurs(theirs: string): string | undefined;
  toTheirs(ours: string): string | undefined;
}

export const same: Codec = { toOurs: (text) => text, toTheirs: (text) => text };

/** A size counted in units of `unit` bytes. */
export function sizeIn(unit: number): Codec {
  return {
    toOurs(text) {
      if (!/^[0-9]{1,15}$/.test(text)) {
        return undefined;
      }
      const bytes = Number(text) * unit;
      return bytes % MiB === 0 ? `${bytes / MiB}M` : bytes % 1024 === 0 ? `${bytes / 1024}K`
        : `${bytes}b`;
    },
    toTheirs(text) {
      const reading = readSize(text);
      return "value" in reading && reading.value % BigInt(unit) === 0n
        ? String(reading.value / BigInt(unit)) : undefined;
    },
  };
}

/** A switch, by the words of the other side. */
export function words(on: string, off: string): Codec {
  return {
    toOurs: (text) => text.toLowerCase() === on.toLowerCase() ? "true"
      : text.toLowerCase() === off.toLowerCase() ? "false" : undefined,
    toTheirs(text) {
      const reading = readBool(text);
      return "value" in reading ? reading.value ? on : off : undefined;
    },
  };
}

/** A switch that reads any spelling and writes one. */
export function anyBool(on: string, off: string): Codec {
  return {
    toOurs(text) {
      const reading = readBool(text);
      return "value" in reading ? String(reading.value) : undefined;
    },
    toTheirs: words(on, off).toTheirs,
  };
}

/** The same switch with its sense turned round. */
export function inverse({ toOurs, toTheirs }: Codec): Codec {
  const turn = (text: string | undefined) => text === "true" ? "false"
    : text === "false" ? "true" : undefined;
  return {
    toOurs: (text) => turn(toOurs(text)),
    toTheirs(text) {
      const reading = readBool(text);
      return "value" in reading ? toTheirs(String(!reading.value)) : undefined;
    },
  };
}

/** Words that stand for each other. */
export function choice(pairs: Readonly<Record<string, string>>): Codec {
  return {
    toOurs: (text) => Object.entries(pairs).find(([theirs]) => theirs === text)?.[1],
    toTheirs: (text) => Object.entries(pairs).find(([, ours]) => ours === text)?.[0],
  };
}

/** A key of ours beside its counterpart. */
export type Row = readonly [ours: string, theirs: string, codec?: Codec];

/** Sets the keys that the table knows; what has no counterpart stays untaken. */
export function readRows(rows: readonly Row[], theirs: Entries, draft: Draft): void {
  for (const [key, name, codec = same] of rows) {
    const found = theirs.entry(name);
    const value = found && codec.toOurs(found.value);
    if (found && value !== undefined && !draft.has(key)) {
      theirs.take(name);
      draft.set(key, value, found.at);
    }
  }
}

/** Pairs of their names and values for the keys that the table knows. */
export function writeRows(
  rows: readonly Row[], ours: Entries,
): readonly (readonly [name: string, value: string])[] {
  return rows.flatMap(([key, name, codec = same]) => {
    const found = ours.peek(key);
    const value = found === undefined ? undefined : codec.toTheirs(found);
    if (value === undefined) {
      return [];
    }
    ours.take(key);
    return [[name, value] as const];
  });
}

/** The same for a device: pairs of our keys below the function and values. */
export function keysFrom(
  rows: readonly Row[], theirs: Entries,
): readonly (readonly [key: string, value: string | undefined])[] {
  return rows.flatMap(([key, name, codec = same]) => {
    const found = theirs.peek(name);
    const value = found === undefined ? undefined : codec.toOurs(found);
    if (value === undefined) {
      return [];
    }
    theirs.take(name);
    return [[key, value] as const];
  });
}
