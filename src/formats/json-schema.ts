/** JSON Schema (2020-12) of our keys as nested objects, for editors. */
import type { DeviceSchemas } from "../config/configuration.ts";
import type { LeafOption, Option, Schema } from "../config/options.ts";
import { functionSchema, globalSchema } from "../config/schema.ts";
import { shortcutNames } from "./shortcuts.ts";

type Json = { readonly [name: string]: unknown };

/** What an object of the tree takes, while it is gathered. */
interface Node {
  readonly children: Map<string, Node>;
  leaf?: Json;
  numbered?: Node;
}

export function jsonSchema(devices: DeviceSchemas): Json {
  const { properties, ...rest } = objectOf(globalSchema) as { properties: Json };
  const functions = [...devices].map(([name, { help, options }]) => {
    const inner = objectOf({ ...functionSchema, ...options }) as { properties: Json };
    return { description: help, ...inner, required: ["device"],
      properties: { ...inner.properties, device: { const: name } } };
  });
  const numbered = (inner: Json): Json =>
    ({ type: "object", patternProperties: { "^[0-9]+$": inner } });
  const pci = { ...numbered(numbered(numbered({ anyOf: functions }))),
    properties: (properties["pci"] as Json | undefined)?.["properties"] ?? {} };
  const shortcuts = Object.fromEntries(shortcutNames.map((name) =>
    [name, { description: `Shortcut of structured texts: ${name}.` }]));
  const memory = properties["memory"];
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "A machine of tsbhyve", ...rest,
    properties: { ...properties, ...shortcuts, pci,
      memory: { anyOf: [memory, { type: ["string", "integer"] }] } },
    // Any other key may serve as a variable: %(name).
    additionalProperties: { type: ["string", "number", "boolean", "object"] },
  };
}

function objectOf(schema: Schema): Json {
  const root: Node = { children: new Map() };
  gather(schema, root);
  return jsonOf(root);
}

function gather(schema: Schema, node: Node): void {
  for (const [property, option] of Object.entries(schema)) {
    place(node, (option.key ?? property).split("."), option);
  }
}

function place(node: Node, path: readonly string[], option: Option): void {
  const [name = "", ...rest] = path;
  const child = node.children.get(name) ?? { children: new Map<string, Node>() };
  node.children.set(name, child);
  if (rest.length > 0) {
    place(child, rest, option);
  } else if (option.kind === "group") {
    gather(option.schema, child);
  } else if (option.kind === "numbered") {
    child.numbered ??= { children: new Map() };
    gather(option.schema, child.numbered);
  } else {
    child.leaf = leafOf(option);
  }
}

function jsonOf({ children, leaf, numbered }: Node): Json {
  if (leaf) {
    return leaf;
  }
  return { type: "object",
    properties: Object.fromEntries([...children].map(([name, child]) => [name, jsonOf(child)])),
    ...(numbered && { patternProperties: { "^[0-9]+$": jsonOf(numbered) } }) };
}

const types = {
  text: ["string", "number", "boolean"], flag: ["boolean", "string", "integer"],
  integer: ["integer", "string"], size: ["integer", "string"], pciSlot: ["string"],
} as const;

function leafOf(option: LeafOption<unknown>): Json {
  const { oneOf, lengthMax, min, max } = option.limits;
  return {
    description: `${option.help} Allowed: ${option.allowed}. Since ${option.since}.`,
    type: types[option.kind],
    ...(oneOf && { enum: [...new Set([...oneOf, ...oneOf.map(String)])] }),
    ...(lengthMax !== undefined && { maxLength: lengthMax }),
    ...(option.kind === "integer" && min !== undefined && { minimum: min }),
    ...(option.kind === "integer" && max !== undefined && { maximum: max }),
    ...(option.default !== undefined && { default: option.default }),
  };
}
