/**
 * A bhyve command line read into a key tree, in bhyve 15.1's order: flags from left to right, old
 * names of keys, then the operand. What prints and what starts is the caller's.
 */
import { getopt } from "./getopt.ts";
import { CommandLineEnd, flags } from "./legacy-flags.ts";
import type { FlagContext } from "./legacy-flags.ts";
import type { Tree } from "./tree.ts";

export interface ArgumentContext extends FlagContext {
  /** Name of the program, before its messages. */
  readonly program: string;
  /** Long options known by their whole name, and what to do at each. */
  readonly longs: ReadonlyMap<string, () => void>;
}

const spec = flags.map(({ letter, argument }) => letter + (argument === undefined ? "" : ":"))
  .join("");

/** Sets the keys of all arguments; throws CommandLineEnd and ConfigError. Afterwards the machine
 * has a name. */
export function readArguments(argv: readonly string[], context: ArgumentContext): void {
  const { tree, longs, program } = context;
  const steps = getopt(argv, spec, new Set(longs.keys()));
  let step = steps.next();
  while (!step.done) {
    const found = step.value;
    switch (found.kind) {
      case "flag":
        tree.origin = `argument ${found.index + 1}, -${found.letter}`;
        flags.find(({ letter }) => letter === found.letter)?.act(found.argument, context);
        break;
      case "long":
        longs.get(found.name)?.();
        break;
      case "illegal":
        context.say(`${program}: illegal option -- ${found.letter}`);
        throw new CommandLineEnd(1, { usage: true });
      case "missing":
        context.say(`${program}: option requires an argument -- ${found.letter}`);
        throw new CommandLineEnd(1, { usage: true });
    }
    step = steps.next();
  }
  renameOldKeys(tree);
  setName(tree, argv.slice(step.value));
}

/** What stands after the flags. */
export function operandsOf(argv: readonly string[], longs: ReadonlySet<string>): readonly string[] {
  const steps = getopt(argv, spec, longs);
  let step = steps.next();
  while (!step.done) {
    step = steps.next();
  }
  return argv.slice(step.value);
}

function setName(tree: Tree, operands: readonly string[]): void {
  const [name] = operands;
  if (operands.length > 1) {
    const reason = `one name is allowed, these are given: ${operands.join(", ")}`;
    throw new CommandLineEnd(1, { usage: true, reason });
  }
  if (name !== undefined) {
    tree.origin = "operand";
    tree.set("name", name);
  }
  if (tree.value("name") === undefined) {
    throw new CommandLineEnd(1, { usage: true, reason: "the machine has no name" });
  }
}

/** Boot ROM and its variables moved out of `lpc`; the old names still work. */
export function renameOldKeys(tree: Tree): void {
  for (const key of ["bootrom", "bootvars"]) {
    const old = `lpc.${key}`;
    if (tree.value(old) !== undefined && tree.value(key) === undefined) {
      tree.warn(`${old} is deprecated, use '-o ${key}' instead`);
      tree.origin = old;
      tree.set(key, tree.value(old) ?? "");
    }
  }
}
