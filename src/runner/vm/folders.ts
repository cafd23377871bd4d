/**
 * Where machines live: one readable folder each below a root that the user owns. Beside them are
 * `.images` with base images. Nothing is kept elsewhere.
 */
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { ConfigError, exitStatus } from "../../base/errors.ts";
import { setFile } from "../../config/file.ts";
import { nearest } from "../../config/suggest.ts";
import { Tree, setDefaults } from "../../config/tree.ts";
import { listFolder, writeWholeFile } from "../../host/folders.ts";

/** `TSVM_ROOT`, or a folder of the user's data (XDG Base Directory, 0.8). */
export function rootFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const stated = environment["TSVM_ROOT"];
  if (stated !== undefined && stated !== "") {
    return stated;
  }
  const data = environment["XDG_DATA_HOME"];
  const base = data !== undefined && isAbsolute(data) ? data : join(homedir(), ".local", "share");
  return join(base, "tsbhyve", "vms");
}

/** One machine's folder and what lies in it. */
export interface MachineFolder {
  readonly name: string;
  readonly path: string;
  /** The machine's keys, in the flat form. */
  readonly settings: string;
  /** Process id of the one who looks after the running machine; also its lock. */
  readonly pid: string;
  /** Process id of the machine itself. */
  readonly machinePid: string;
  readonly log: string;
  readonly snapshots: string;
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

function folderAt(root: string, name: string): MachineFolder {
  if (!namePattern.test(name)) {
    throw new ConfigError({ key: "NAME", value: name, message: "is no name of a machine; allowed: "
      + "letters, digits, dots, dashes and underscores, up to 63, a letter or digit first" },
    exitStatus.powerOff);
  }
  const path = join(root, name);
  return {
    name, path, settings: join(path, "machine.flat"), pid: join(path, "pid"),
    machinePid: join(path, "machine.pid"), log: join(path, "log"),
    snapshots: join(path, "snapshots"),
  };
}

export function machineNames(root: string): readonly string[] {
  return listFolder(root).filter((name) => !name.startsWith(".")
    && existsSync(join(root, name, "machine.flat")));
}

/** The folder of a machine that exists; throws ConfigError with the nearest name. */
export function findMachine(root: string, name: string): MachineFolder {
  const folder = folderAt(root, name);
  if (!existsSync(folder.settings)) {
    const names = machineNames(root);
    const near = nearest(name, names);
    const guess = near === undefined ? "" : `; did you mean ${near}?`;
    const allowed = names.length === 0 ? "" : `; allowed: ${names.join(", ")}`;
    throw new ConfigError({
      key: "NAME", value: name, message: `is no machine in ${root}${guess}${allowed}`,
    }, exitStatus.powerOff);
  }
  return folder;
}

/** Makes the folder of a new machine, for its owner alone. */
export function makeMachine(root: string, name: string): MachineFolder {
  const folder = folderAt(root, name);
  if (existsSync(folder.path)) {
    throw new ConfigError({ key: "NAME", value: name, message: `exists already in ${root}` });
  }
  mkdirSync(root, { recursive: true, mode: 0o700 });
  mkdirSync(folder.path, { mode: 0o700 });
  return folder;
}

/** The keys of a machine as a tree, defaults included. */
export function settingsOf({ settings }: MachineFolder): Tree {
  const tree = new Tree(() => {});
  setDefaults(tree);
  setFile(tree, settings, readFileSync(settings, "utf8"));
  return tree;
}

export function writeSettings({ settings }: MachineFolder, text: string): void {
  writeWholeFile(settings, text);
}

/** Names of the disk files that belong to a machine: they lie in its folder. */
export function ownDisks(folder: MachineFolder): readonly string[] {
  const tree = settingsOf(folder);
  return [...new Set([...tree.root.entries()]
    .filter(({ key }) => /^pci\..*\.(path|overlay)$/.test(key))
    .map(({ value }) => tree.expand(value)))]
    .filter((value) => !value.includes("/")
      && statSync(join(folder.path, value), { throwIfNoEntry: false })?.isFile() === true);
}
