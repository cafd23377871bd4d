/** A structured text as a tree of values with places: what JSON, UCL and TOML have in common. */
import { ConfigError } from "../base/errors.ts";

export type Value = TextValue | ListValue | ObjectValue;

export interface TextValue {
  readonly kind: "text";
  /** As it stands in a key: numbers and switches are texts too. */
  readonly text: string;
  readonly at: string;
  /** As it was written, where a suffix has been put into the number. */
  readonly raw?: string;
}

export interface ListValue {
  readonly kind: "list";
  readonly items: readonly Value[];
  readonly at: string;
}

export interface ObjectValue {
  readonly kind: "object";
  /** In order; whether a name may come twice is the format's affair. */
  readonly members: readonly Member[];
  readonly at: string;
}

export interface Member {
  readonly name: string;
  readonly value: Value;
  readonly at: string;
}

/** Machines are shallow; a parser that calls itself must not use up the stack. */
export const depthMax = 64;

export function checkDepth(depth: number, at: string): void {
  if (depth > depthMax) {
    throw new ConfigError({ key: at, message: `is nested more than ${depthMax} deep` });
  }
}

/** Every text below a value by its path: names and numbers of items, joined by dots. */
export function* leavesOf(value: Value, path = ""): Generator<{ path: string; leaf: TextValue }> {
  const below = (name: string) => path === "" ? name : `${path}.${name}`;
  switch (value.kind) {
    case "text":
      yield { path, leaf: value };
      break;
    case "list":
      for (const [index, item] of value.items.entries()) {
        yield* leavesOf(item, below(String(index)));
      }
      break;
    case "object":
      for (const member of value.members) {
        yield* leavesOf(member.value, below(member.name));
      }
  }
}
