/**
 * The configuration: one tree of string values with dotted paths, in order of insertion.
 * Follows bhyve 15.1's tree (config.c, bhyve_config(5)): nodes are made on demand, a value that
 * is set again moves to the end of its node, and a node cannot become a value nor the reverse.
 */
import { ConfigError } from "../base/errors.ts";
import { expand, referencesOf } from "./expand.ts";
import type { Warn } from "./expand.ts";
import { joinKey } from "./options.ts";
import type { OptionNode } from "./options.ts";
import { boolHelp, readBool } from "./values.ts";

interface Leaf {
  readonly value: string;
  readonly origin: string;
}

/** Names have a length in bhyve's lists (libnv, NV_NAME_MAX less the NUL). */
const nameBytesMax = 2047;

/** Walkers of the tree call themselves for every name of a key; bhyve's keys have six. */
const depthMax = 64;

/** A value with its full key, for those who walk the tree. */
export interface Entry extends Leaf {
  readonly key: string;
}

export class TreeNode implements OptionNode {
  readonly path: string;
  readonly #tree: Tree;
  readonly #children = new Map<string, Leaf | TreeNode>();

  constructor(tree: Tree, path: string) {
    this.#tree = tree;
    this.path = path;
  }

  root(): TreeNode {
    return this.#tree.root;
  }

  names(): Iterable<string> {
    return this.#children.keys();
  }

  *keys(): Generator<string> {
    for (const [name, child] of this.#children) {
      if (child instanceof TreeNode) {
        yield* [...child.keys()].map((key) => `${name}.${key}`);
      } else {
        yield name;
      }
    }
  }

  /** The value of a direct child, `%(…)` untouched. */
  raw(name: string): string | undefined {
    const child = this.#children.get(name);
    if (child instanceof TreeNode) {
      this.#tree.warn(`Attempting to fetch value of node ${joinKey(this.path, name)}`);
      return undefined;
    }
    return child?.value;
  }

  /** The expanded value at a key below this node. */
  value(key: string): string | undefined {
    const { node, name } = this.#parentOf(key);
    const raw = node?.raw(name);
    return raw === undefined ? undefined : this.#tree.expand(raw);
  }

  /** The raw value at a key below this node. */
  rawAt(key: string): string | undefined {
    const { node, name } = this.#parentOf(key);
    return node?.raw(name);
  }

  node(key: string): TreeNode | undefined {
    return TreeNode.#walk(this, key, "find");
  }

  /** The node at a key, made if need be; undefined, with a warning, if a value is in the way. */
  create(key: string): TreeNode | undefined {
    return TreeNode.#walk(this, key, "create");
  }

  /** Sets a direct child; the name cannot contain a dot. */
  set(name: string, value: string): void {
    const key = joinKey(this.path, name);
    if (name.includes(".")) {
      throw new ConfigError({ key, value, message: "an option's name cannot contain a dot" });
    }
    if (Buffer.byteLength(name) > nameBytesMax) {
      throw new ConfigError({ key: name.slice(0, 40), value, message: "is the start of a name of "
        + `${Buffer.byteLength(name)} bytes; allowed: up to ${nameBytesMax}` });
    }
    if (this.#children.get(name) instanceof TreeNode) {
      throw new ConfigError({
        key, value, message: "has keys below it, so it cannot have a value itself",
      });
    }
    this.#tree.noteReferences(value);
    this.#children.delete(name);
    this.#children.set(name, { value, origin: this.#tree.origin });
  }

  /** Every value below this node, depth first in insertion order. */
  *entries(): Generator<Entry> {
    for (const [name, child] of this.#children) {
      if (child instanceof TreeNode) {
        yield* child.entries();
      } else {
        yield { key: joinRaw(this.path, name, this === this.root()), ...child };
      }
    }
  }

  #parentOf(key: string): { node: TreeNode | undefined; name: string } {
    const dot = key.lastIndexOf(".");
    return dot < 0 ? { node: this, name: key }
      : { node: TreeNode.#walk(this, key.slice(0, dot), "find"), name: key.slice(dot + 1) };
  }

  static #walk(start: TreeNode, key: string, mode: "find" | "create"): TreeNode | undefined {
    const tree = start.#tree;
    let node = start;
    const names = key.split(".");
    for (const [depth, name] of names.entries()) {
      if (name === "") {
        tree.warn(`Invalid configuration node: ${key}`);
        return undefined;
      }
      const child = node.#children.get(name);
      if (child instanceof TreeNode) {
        node = child;
      } else if (child) {
        const variable = names.slice(0, depth + 1).join(".");
        tree.warn(`Configuration node ${joinKey(start.path, key)} is a child of existing variable `
          + joinKey(start.path, variable));
        return undefined;
      } else if (mode === "create") {
        const made = new TreeNode(tree, joinKey(node.path, name));
        node.#children.set(name, made);
        node = made;
      } else {
        return undefined;
      }
    }
    return node;
  }
}

/** A key may end in an empty name (`a.`); only below the root is there a dot to show it. */
function joinRaw(path: string, name: string, atRoot: boolean): string {
  return atRoot ? name : `${path}.${name}`;
}

export class Tree {
  readonly root: TreeNode;
  readonly warn: Warn;
  /** Where the values that are set from now on come from, for error messages. */
  origin = "default";
  #said: Set<string> | undefined;
  readonly #referenced = new Set<string>();

  constructor(warn: Warn) {
    this.warn = (message) => {
      if (!this.#said?.has(message)) {
        this.#said?.add(message);
        warn(message);
      }
    };
    this.root = new TreeNode(this, "");
  }

  /** From now on a warning is said once: several readers may expand the same value. */
  warnOnce(): void {
    this.#said ??= new Set();
  }

  /** Remembers which keys a value refers to: a value that is replaced later still explains why
   * they were set. */
  noteReferences(value: string): void {
    for (const path of referencesOf(value)) {
      this.#referenced.add(path);
    }
  }

  isReferenced(path: string): boolean {
    return this.#referenced.has(path);
  }

  /** Sets the value at a path and makes the nodes on the way. */
  set(path: string, value: string): void {
    const dot = path.lastIndexOf(".");
    if (path.length > depthMax && path.split(".").length > depthMax) {
      throw new ConfigError({
        key: path.slice(0, 40), message: `has more than ${depthMax} names; allowed: up to that`,
      });
    }
    const node = dot < 0 ? this.root : this.root.create(path.slice(0, dot));
    if (!node) {
      throw new ConfigError({
        key: path, value, message: "no such node can be made; allowed: names that are not empty, "
          + "joined by dots, below keys without a value",
      });
    }
    node.set(path.slice(dot + 1), value);
  }

  value(path: string): string | undefined {
    return this.root.value(path);
  }

  /** A boolean read at once, as bhyve reads it: what is no boolean ends the configuration. */
  bool(path: string, fallback: boolean): boolean {
    const text = this.value(path);
    if (text === undefined) {
      return fallback;
    }
    const reading = readBool(text);
    if ("wrong" in reading) {
      throw new ConfigError({ key: path, value: text, message: `allowed: ${boolHelp}` });
    }
    return reading.value;
  }

  expand(raw: string): string {
    return expand(raw, (path) => this.root.rawAt(path), this.warn);
  }

  /** All values as `key=value` lines, `%(…)` untouched: the output of `config.dump`. */
  dump(): string {
    let text = "";
    for (const { key, value } of this.root.entries()) {
      text += `${key}=${value}\n`;
    }
    return text;
  }
}

/** What bhyve 15.1 sets before it reads its arguments, in this order. */
export function setDefaults(tree: Tree): void {
  tree.set("acpi_tables", "true");
  tree.set("acpi_tables_in_memory", "true");
  tree.set("memory.size", "256M");
  tree.set("x86.strictmsr", "true");
  tree.set("x86.verbosemsr", "false");
  tree.set("lpc.fwcfg", "bhyve");
}
