/**
 * What a guest has been told is on the disk survives `kill -9` of tsbhyve: the guest of
 * `journal-guest.ts` runs, is killed, and runs again over the same disk. A slice of this is part
 * of `npm test`; `npm run test:durability` kills fifty times and more for each kind of disk.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { assert, randomSource, seed } from "../support/harness.ts";
import type { TestFolder } from "../support/folder.ts";
import { journalBytes, journalGuest } from "../support/journal-guest.ts";
import { repositoryRoot } from "../support/paths.ts";
import { runWell } from "../support/programs.ts";

export const diskKinds = ["raw", "qcow2", "nbd"] as const;
export type DiskKind = (typeof diskKinds)[number];

/** Programs besides tsbhyve that each kind of disk takes. */
export const neededFor: Readonly<Record<DiskKind, readonly string[]>> = {
  raw: [], qcow2: ["qemu-img"], nbd: ["qemu-nbd"],
};

/** A life is short enough to end anywhere in the growth of an image. */
const lifeMaxMs = 400;
const startLimitMs = 60_000;

interface Disk {
  readonly path: string;
  /** Checks the image between two lives. */
  check(): void;
  close(): void;
}

async function makeDisk(kind: DiskKind, folder: TestFolder): Promise<Disk> {
  const file = folder.file(`journal.${kind}`);
  if (kind === "qcow2") {
    runWell("qemu-img", "create", "-q", "-f", "qcow2", file, String(journalBytes));
    return { path: file, check: () => checkImage(file), close: () => {} };
  }
  runWell("truncate", "-s", String(journalBytes), file);
  if (kind === "raw") {
    return { path: file, check: () => {}, close: () => {} };
  }
  const socket = folder.file("journal.socket");
  const server = spawn("qemu-nbd", ["-f", "raw", "-k", socket, "-t", "-e", "8", file]);
  while (!existsSync(socket)) {
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  return {
    path: `nbd+unix:///?socket=${socket}`, check: () => {}, close: () => { server.kill(); },
  };
}

/** An end at any moment may lose space (status 3), and nothing else. */
function checkImage(file: string): void {
  runWell("sh", "-c", `qemu-img check -q -f qcow2 "$0"; [ $? -eq 0 -o $? -eq 3 ]`, file);
}

/** Kills the machine so many times; every life begins with the guest's own verification. */
export async function surviveKills(
  kind: DiskKind, kills: number, folder: TestFolder,
): Promise<number> {
  const kernel = folder.put("journal.elf", journalGuest());
  const disk = await makeDisk(kind, folder);
  const random = randomSource();
  let acknowledged = 0;
  try {
    for (let life = 0; life <= kills; life += 1) {
      const lines = await oneLife(kernel, disk.path, 20 + random() % lifeMaxMs);
      const found = lines.find((line) => /^V[0-9a-f]{8}$/.test(line));
      const where = `${kind}, life ${life}, seed ${seed}: ${lines.slice(0, 3).join(" ")}`;
      assert.ok(found !== undefined, `the guest finds its journal in order; ${where}`);
      assert.ok(Number.parseInt(found.slice(1), 16) >= acknowledged,
        `entry ${acknowledged} was acknowledged and is gone; ${where}`);
      assert.ok(!lines.some((line) => line.startsWith("F")), where);
      acknowledged = lines.filter((line) => /^[VW][0-9a-f]{8}$/.test(line))
        .reduce((highest, line) => Math.max(highest, Number.parseInt(line.slice(1), 16)), 0);
      disk.check();
    }
  } finally {
    disk.close();
  }
  return acknowledged;
}

/** Runs the guest, kills it so long after its first line, and returns the lines it wrote. */
function oneLife(kernel: string, path: string, lengthMs: number): Promise<readonly string[]> {
  const keys = {
    "memory.size": "16M", "boot.kernel": kernel, "pci.0.0.0.device": "hostbridge",
    "pci.0.3.0.device": "virtio-blk", "pci.0.3.0.path": path, "pci.0.31.0.device": "lpc",
    "lpc.com1.path": "stdio",
  };
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(repositoryRoot, "bin", "tsbhyve.mjs"),
      ...Object.entries(keys).flatMap(([key, value]) => ["-o", `${key}=${value}`]), "journal"],
    { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let alive = false;
    let timer = setTimeout(() => child.kill("SIGKILL"), startLimitMs);
    child.stdout.on("data", (bytes: Buffer) => {
      if (!alive) {
        alive = true;
        clearTimeout(timer);
        timer = setTimeout(() => child.kill("SIGKILL"), lengthMs);
      }
      output += bytes.toString("latin1");
    });
    child.stderr.on("data", (bytes: Buffer) => { output += bytes.toString("latin1"); });
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(timer);
      resolve(output.split("\n").slice(0, -1)); // A last line without an end may be half a one.
    });
  });
}
