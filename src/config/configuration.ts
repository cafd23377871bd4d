/**
 * The whole configuration read through its schemas: what the machine is built from, or every
 * problem at once. A key that no schema knows and no `%(…)` refers to is a problem too, unless
 * `config.strict=false` asks for bhyve's silence.
 */
import { ConfigError, exitStatus } from "../base/errors.ts";
import type { Problem } from "../base/errors.ts";
import { bootProblems, cpuProblems, domainProblems, lineWarnings, otherProblems }
  from "./checks.ts";
import { referenceProblems, unknownKeys } from "./known-keys.ts";
import { parse } from "./options.ts";
import type { OptionNode, Parsed, Schema } from "./options.ts";
import { globalSchema } from "./schema.ts";
import type { Globals } from "./schema.ts";
import { findFunctions } from "./slots.ts";
import type { ConfiguredFunction } from "./slots.ts";
import type { Tree } from "./tree.ts";
import { completeTopology } from "./values.ts";
import type { Reading, Topology } from "./values.ts";

/** What this room needs to know of a device model. */
export interface DeviceSchema {
  readonly help: string;
  readonly options: Schema;
  /** The host side that it needs: "block" for a disk. */
  readonly backend?: string;
  /** At most one in a machine, and on bus 0. */
  readonly single?: boolean;
  /** Its keys are known, but there is no model of it yet. */
  readonly unbuilt?: boolean;
}

export type DeviceSchemas = ReadonlyMap<string, DeviceSchema>;

export interface Configuration {
  readonly globals: Globals;
  readonly topology: Topology;
  /** PCI functions in the order of their initialisation: bus, slot, function. */
  readonly functions: readonly ConfiguredFunction[];
  /** Values that are passed over, and keys without effect yet. */
  readonly warnings: readonly Problem[];
}

/** Everything found wrong, and what was read as far as that was possible. */
export type Verdict =
  | { readonly ok: true; readonly value: Configuration }
  | { readonly ok: false; readonly problems: readonly Problem[];
      readonly warnings: readonly Problem[] };

/** Checks the tree against the global schema and those of `devices`; throws nothing. */
export function check(tree: Tree, devices: DeviceSchemas): Verdict {
  const globals = parse(globalSchema, tree.root);
  const strict = strictness(tree.root);
  const warnings = [...globals.passedOver];
  const { functions, problems: slotProblems } = findFunctions(tree, devices);
  const topology = readTopology(tree.root);
  const boot = parse(bootSchema, tree.root);
  const problems = [
    ...(topology && "wrong" in topology
      ? [{ key: "cpus", value: tree.value("cpus") ?? "", message: topology.wrong }] : []),
    ...(globals.ok ? [] : globals.problems),
    ...(boot.ok ? bootProblems(boot.value) : []),
  ];
  if (globals.ok && topology && "value" in topology) {
    problems.push(...cpuProblems(globals.value, topology.value));
    problems.push(...domainProblems(globals.value));
    problems.push(...otherProblems(globals.value, functions));
  }
  problems.push(...slotProblems);
  for (const each of functions) {
    const parsed: Parsed<unknown> = parse(each.schema, each.node);
    problems.push(...(parsed.ok ? [] : parsed.problems));
    warnings.push(...parsed.passedOver);
  }
  const keys = unknownKeys(tree, functions);
  problems.push(...(strict ? [...referenceProblems(tree), ...keys.unknown] : []));
  warnings.push(...keys.pending, ...(globals.ok ? lineWarnings(globals.value, functions) : []));
  const located = problems.map((problem) => locate(tree, problem));
  if (located.length > 0 || !globals.ok || !topology || "wrong" in topology) {
    return { ok: false, problems: located, warnings };
  }
  const value = { globals: globals.value, topology: topology.value, functions, warnings };
  return { ok: true, value };
}

/** The configuration, or one ConfigError with every problem. */
export function readConfiguration(tree: Tree, devices: DeviceSchemas): Configuration {
  const verdict = check(tree, devices);
  if (verdict.ok) {
    return verdict.value;
  }
  throw new ConfigError(verdict.problems, verdict.problems[0]?.status ?? exitStatus.error);
}

/** Read on their own, so that a mistake elsewhere does not hide one here. */
const topologySchema = {
  cpus: globalSchema.cpus, sockets: globalSchema.sockets,
  cores: globalSchema.cores, threads: globalSchema.threads,
};
const bootSchema = {
  bootRom: globalSchema.bootRom, kernel: globalSchema.kernel, initrd: globalSchema.initrd,
  modules: globalSchema.modules,
};

function readTopology(root: OptionNode): Reading<Topology> | undefined {
  const parsed = parse(topologySchema, root);
  return parsed.ok ? completeTopology(parsed.value) : undefined;
}

/** Whether unknown keys are errors; a bad value of the key itself is reported by its schema. */
function strictness(root: OptionNode): boolean {
  const parsed = parse({ strict: globalSchema.strict }, root);
  return parsed.ok ? parsed.value.strict : true;
}

/** Says where a value was given, unless it is a default; for one that is missing, where its node
 * was made. */
function locate(tree: Tree, problem: Problem): Problem {
  const given = [...tree.root.entries()].filter(({ origin }) => origin !== "default");
  const node = problem.key.slice(0, Math.max(problem.key.lastIndexOf("."), 0));
  const found = given.find(({ key }) => key === problem.key)
    ?? given.find(({ key }) => key.startsWith(`${problem.key}.`)
      || (node !== "" && key.startsWith(`${node}.`)));
  return found ? { ...problem, message: `${problem.message} (${found.origin})` } : problem;
}
