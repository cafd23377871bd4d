/**
 * What a machine is built from, as plain data that can be sent to the thread that builds it: a
 * configuration whose nodes have become records.
 */
import { hostname } from "node:os";
import { ConfigError, exitStatus, type Problem } from "../base/errors.ts";
import { KiB } from "../base/units.ts";
import type { Configuration } from "../config/configuration.ts";
import type { FirmwareFile } from "../config/firmware-file.ts";
import type { OptionNode } from "../config/options.ts";
import type { Globals } from "../config/schema.ts";
import type { Topology, PciSlot } from "../config/values.ts";

export interface PlannedFunction {
  readonly at: PciSlot;
  readonly device: string;
  /** Full key of the node: `pci.0.3.0`. */
  readonly key: string;
  /** Values by keys below the node. */
  readonly values: Readonly<Record<string, string>>;
}

export interface MachinePlan {
  readonly globals: Globals;
  readonly topology: Topology;
  readonly functions: readonly PlannedFunction[];
  /** Files of the user for the guest's firmware (`-f`). */
  readonly firmwareFiles: readonly FirmwareFile[];
  readonly hostName: string;
}

/** What a back end can do, as far as a configuration may ask too much of it. */
export interface MachineLimits {
  readonly memoryBytesMax: number;
  readonly cpusMax: number;
}

/** Reads the configuration once; throws ConfigError for what no machine here can be. */
export function planMachine(
  configuration: Configuration, limits: MachineLimits, firmwareFiles: readonly FirmwareFile[] = [],
): MachinePlan {
  const { globals, topology } = configuration;
  const problems = capabilityProblems(configuration, limits);
  if (problems.length > 0) {
    throw new ConfigError(problems);
  }
  const functions = configuration.functions.map(({ at, device, node }) => ({
    at, device, key: node.path, values: valuesOf(node),
  }));
  return { globals, topology, functions, firmwareFiles, hostName: hostname() };
}

/** QEMU's firmware interface was asked for, and the bridge that has it is there. */
export function hasFwCfg({ globals, functions }: MachinePlan): boolean {
  return globals.firmwareInterface === "qemu" && functions.some(({ device }) => device === "lpc");
}

function valuesOf(node: OptionNode): Record<string, string> {
  return Object.fromEntries([...node.keys()].map((key) => [key, node.value(key) ?? ""]));
}

const pageBytes = 4 * KiB;

function capabilityProblems(
  { globals, topology }: Configuration, limits: MachineLimits,
): Problem[] {
  const { memoryBytes, clock } = globals;
  const problems: Problem[] = [];
  if (memoryBytes > limits.memoryBytesMax || memoryBytes % pageBytes !== 0) {
    problems.push({
      key: "memory.size", value: String(memoryBytes), message: "allowed: a multiple of 4096 up to "
        + `${limits.memoryBytesMax} bytes with this back end`,
    });
  }
  if (topology.cpus > limits.cpusMax) {
    problems.push({
      key: "cpus", value: String(topology.cpus),
      message: `allowed: up to ${limits.cpusMax} with this back end`,
      status: exitStatus.osError, // As bhyve's, when the kernel refuses so many.
    });
  }
  if (clock === "virtual") {
    problems.push({ key: "clock", value: clock, message: "is not available yet; allowed: host" });
  }
  return problems;
}
