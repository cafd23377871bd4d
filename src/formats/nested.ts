/** Our keys printed as nested objects, for formats that have them. */
import { treeOf } from "./flat.ts";
import type { Entries } from "./entries.ts";
import { shortcutNames } from "./shortcuts.ts";
import { TreeNode } from "../config/tree.ts";

/** How a format writes an object's parts. */
export interface NestedStyle {
  readonly open: (name: string) => string;
  readonly close: string;
  readonly leaf: (name: string, value: string) => string;
  /** Between the members of an object. */
  readonly separator: string;
}

/** The members of the whole, one a line and indented by `depth` steps. Names that a reader would
 * take for a shortcut go into `keys`. */
export function nestedText(ours: Entries, style: NestedStyle, depth: number): string {
  const { root } = treeOf(ours);
  ours.takeAll();
  const names = [...root.names()];
  const hidden = names.filter((name) => isShortcut(root, name));
  const parts = names.filter((name) => !hidden.includes(name))
    .map((name) => memberText(root, name, style, depth));
  if (hidden.length > 0) {
    const inner = hidden.map((name) => memberText(root, name, style, depth + 1));
    parts.push(wrap("keys", inner, style, depth));
  }
  return parts.join(`${style.separator}\n`);
}

function isShortcut(root: TreeNode, name: string): boolean {
  return shortcutNames.includes(name)
    || (name === "memory" && !root.node(name)) || (name === "pci" && !root.node(name));
}

function memberText(node: TreeNode, name: string, style: NestedStyle, depth: number): string {
  const indent = "  ".repeat(depth);
  const child = name === "" ? undefined : node.node(name);
  if (!child) {
    return indent + style.leaf(name, node.raw(name) ?? "");
  }
  return wrap(name, [...child.names()].map((each) => memberText(child, each, style, depth + 1)),
    style, depth);
}

function wrap(name: string, parts: readonly string[], style: NestedStyle, depth: number): string {
  const indent = "  ".repeat(depth);
  return `${indent}${style.open(name)}\n${parts.join(`${style.separator}\n`)}\n${indent}${
    style.close}`;
}
