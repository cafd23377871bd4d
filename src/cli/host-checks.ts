/**
 * Whether the host has what a configuration names: every file is opened for reading and closed
 * again, nothing is written or left behind. Problems are collected, so that a user sees all.
 */
import { dirname } from "node:path";
import { charTargetHelp, conflictingTargets, parseCharTarget, parseSocketTarget,
} from "../backends/char/target.ts";
import type { CharTarget, CharUse } from "../backends/char/target.ts";
import { openSyncImage } from "../backends/block/open.ts";
import { isSync } from "../backends/block/spec.ts";
import { ConfigError, HostError } from "../base/errors.ts";
import type { Problem } from "../base/errors.ts";
import { silentLog } from "../base/log.ts";
import { moduleFiles } from "../config/boot-modules.ts";
import type { Configuration, DeviceSchemas } from "../config/configuration.ts";
import { parse } from "../config/options.ts";
import { findFunctions } from "../config/slots.ts";
import type { ConfiguredFunction } from "../config/slots.ts";
import type { Tree } from "../config/tree.ts";
import { blockOptions } from "../devices/block-options.ts";
import { shareOptions } from "../devices/virtio/p9.ts";
import { readBootRom } from "../firmware/boot-rom.ts";
import { fileExists, openFile, readWholeFile } from "../host/files.ts";
import { isTerminal } from "../host/terminal.ts";
import { readBlockSpec } from "../machine/block.ts";
import { openNodeShare } from "../machine/share.ts";
import { planMachine } from "../machine/plan.ts";
import { hypervisorFor } from "./backend.ts";

/** Everything the host lacks. */
export function hostProblems(tree: Tree, devices: DeviceSchemas): Problem[] {
  const { functions } = findFunctions(tree, devices);
  return [
    ...romProblems(tree), ...bootFileProblems(tree),
    ...functions.filter(({ device }) => devices.get(device)?.backend === "block")
      .flatMap(diskProblems),
    ...functions.filter(({ device }) => devices.get(device)?.backend === "share")
      .flatMap(({ node }) => (parse(shareOptions, node).ok
        ? problemsOf(node.path, "", () => openNodeShare(node).close()) : [])),
    ...channelProblems([
      ...serialChannels(tree, functions),
      ...functions.filter(({ device }) => devices.get(device)?.backend === "char")
        .flatMap(portChannels),
    ]),
  ];
}

/** What is right as such, but more than a machine of this program can be. */
export function planProblems(configuration: Configuration): Problem[] {
  return problemsOf("", "", () => planMachine(configuration, hypervisorFor(configuration)));
}

/** Runs a check that throws what a user may see. */
function problemsOf(key: string, value: string, check: () => void): Problem[] {
  try {
    check();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) {
      return [...error.problems];
    }
    if (error instanceof HostError) {
      return [{ key, value, message: `${error.message}; allowed: a file that can be read` }];
    }
    throw error;
  }
}

function romProblems(tree: Tree): Problem[] {
  const key = "bootrom";
  const path = tree.value(key);
  return path === undefined ? []
    : problemsOf(key, path, () => readBootRom({ key, path, bytes: readWholeFile(path) }));
}

function bootFileProblems(tree: Tree): Problem[] {
  const named = ["boot.kernel", "boot.initrd"].map((key) => ({ key, path: tree.value(key) }));
  const modules = moduleFiles(tree.value("boot.modules") ?? "")
    .map(({ path }) => ({ key: "boot.modules", path }));
  return [...named, ...modules].flatMap(({ key, path }) => path === undefined ? []
    : problemsOf(key, path, () => checkFile(key, path)));
}

function checkFile(key: string, path: string): void {
  const file = openFile(path, { write: false });
  const { kind, sizeBytes } = file;
  file.close();
  if (kind !== "file" || sizeBytes === 0) {
    throw new ConfigError({
      key, value: path, message: `is ${kind === "file" ? "empty" : "not a file"}; `
        + "allowed: a file with content",
    });
  }
}

function diskProblems({ node }: ConfiguredFunction): Problem[] {
  const parsed = parse(blockOptions, node);
  if (!parsed.ok) {
    return []; // The device's own schema reports it.
  }
  // What lives on a server, or in a program of the user's, is asked only once the machine starts.
  const spec = { ...readBlockSpec(node), readOnly: true };
  return isSync(spec) ? problemsOf(`${node.path}.path`, spec.path, () => {
    void openSyncImage(spec, silentLog).close?.();
  }) : [];
}

const serialPorts = ["lpc.com1.path", "lpc.com2.path", "lpc.com3.path", "lpc.com4.path"] as const;

interface Channel {
  readonly key: string;
  readonly value: string;
  parse(key: string, value: string): CharTarget;
}

/** Serial lines count only behind an LPC bridge, as for bhyve. */
function serialChannels(tree: Tree, functions: readonly ConfiguredFunction[]): Channel[] {
  const hasLpc = functions.some(({ device }) => device === "lpc");
  return serialPorts.flatMap((key) => {
    const value = hasLpc ? tree.value(key) : undefined;
    return value === undefined ? [] : [{ key, value, parse: parseCharTarget }];
  });
}

function portChannels({ node }: ConfiguredFunction): Channel[] {
  const ports = node.node("port");
  return [...ports?.names() ?? []].flatMap((name) => {
    const value = ports?.node(name)?.value("path");
    return value === undefined ? []
      : [{ key: `${node.path}.port.${name}.path`, value, parse: parseSocketTarget }];
  });
}

function channelProblems(channels: readonly Channel[]): Problem[] {
  const problems: Problem[] = [];
  const uses: CharUse[] = [];
  for (const { key, value, parse } of channels) {
    problems.push(...problemsOf(key, value, () => {
      const target = parse(key, value);
      uses.push({ key, target });
      if (target.kind === "tty" && !isTerminal(target.path)) {
        const message = `is no terminal; allowed: ${charTargetHelp}`;
        throw new ConfigError({ key, value, message });
      }
      if (target.kind === "unix" && !fileExists(dirname(target.path))) {
        throw new ConfigError({ key, value, message: "lies in a folder that does not exist" });
      }
    }));
  }
  return [...problems, ...conflictingTargets(uses)];
}
