/** Disks of a machine that does not run: snapshots of them, and whole copies of machines. */
import { constants, copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ConfigError, HostError } from "../../base/errors.ts";
import { nearest } from "../../config/suggest.ts";
import { listFolder, removeTree } from "../../host/folders.ts";
import { makeMachine, ownDisks, writeSettings } from "./folders.ts";
import type { MachineFolder } from "./folders.ts";
import { stateOf } from "./state.ts";

/** Throws ConfigError while the machine runs: its disks would be copied in mid-write. */
export function mustBeStopped(folder: MachineFolder, purpose: string): void {
  if (stateOf(folder).state === "running") {
    throw new ConfigError({
      key: "NAME", value: folder.name, message: `runs; allowed to ${purpose}: once it is stopped`,
    });
  }
}

/** Shares the blocks where the file system can. */
function copyDisk(from: string, to: string): void {
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    throw new HostError(`cannot copy ${from} to ${to}`, error);
  }
}

export function snapshotNames({ snapshots }: MachineFolder): readonly string[] {
  return listFolder(snapshots);
}

/** Returns the names of the disks that were copied. */
export function takeSnapshot(folder: MachineFolder, name: string): readonly string[] {
  mustBeStopped(folder, "take a snapshot");
  const target = join(folder.snapshots, snapshotName(name));
  if (existsSync(target)) {
    throw new ConfigError({ key: "SNAPSHOT", value: name, message: "exists already" });
  }
  const disks = ownDisks(folder);
  mkdirSync(target, { recursive: true });
  disks.forEach((disk) => copyDisk(join(folder.path, disk), join(target, disk)));
  return disks;
}

export function revertSnapshot(folder: MachineFolder, name: string): readonly string[] {
  mustBeStopped(folder, "go back to a snapshot");
  const source = findSnapshot(folder, name);
  const disks = listFolder(source);
  disks.forEach((disk) => copyDisk(join(source, disk), join(folder.path, disk)));
  return disks;
}

export function deleteSnapshot(folder: MachineFolder, name: string): void {
  removeTree(findSnapshot(folder, name));
}

function snapshotName(name: string): string {
  if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
    throw new ConfigError({ key: "SNAPSHOT", value: name, message: "is no name" });
  }
  return name;
}

function findSnapshot(folder: MachineFolder, name: string): string {
  const path = join(folder.snapshots, snapshotName(name));
  if (!existsSync(path)) {
    const names = snapshotNames(folder);
    const near = nearest(name, names);
    throw new ConfigError({ key: "SNAPSHOT", value: name, message: `is no snapshot${
      near === undefined ? "" : `; did you mean ${near}?`}; allowed: ${
      names.join(", ") || "none yet"}` });
  }
  return path;
}

/** A copy under another name; what must differ (UUID, Ethernet addresses) is left to be made. */
export function cloneMachine(
  root: string, from: MachineFolder, name: string,
): MachineFolder {
  mustBeStopped(from, "make a copy");
  const to = makeMachine(root, name);
  try {
    ownDisks(from).forEach((disk) => copyDisk(join(from.path, disk), join(to.path, disk)));
    const lines = readFileSync(from.settings, "utf8").split("\n")
      .filter((line) => !/^(uuid|pci\.[0-9.]+\.mac)=/.test(line))
      .map((line) => line.startsWith("name=") ? `name=${name}` : line);
    writeSettings(to, lines.join("\n"));
  } catch (error) {
    removeTree(to.path);
    throw error;
  }
  return to;
}
