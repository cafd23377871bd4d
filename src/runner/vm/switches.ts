/**
 * Switches are bridges of the host, and taps join them; both need root and ip(8) of iproute2. A
 * bridge that tsvm made bears its mark as an alias, so that it removes no other.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { ConfigError, HostError } from "../../base/errors.ts";
import type { Tree } from "../../config/tree.ts";
import { listFolder } from "../../host/folders.ts";

const interfaces = "/sys/class/net";
const mark = "tsvm switch";

function ip(...words: readonly string[]): void {
  const { status, stderr, error } = spawnSync("ip", words, { encoding: "utf8" });
  if (status !== 0) {
    throw new HostError(`ip ${words.join(" ")}`, error ?? stderr.trim());
  }
}

function exists(name: string): boolean {
  return existsSync(`${interfaces}/${name}`);
}

function checkName(name: string): void {
  // The kernel's IFNAMSIZ less the NUL.
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,14}$/.test(name)) {
    throw new ConfigError({ key: "SWITCH", value: name, message: "is no name of an interface; "
      + "allowed: up to 15 letters, digits, dots, dashes" });
  }
}

export function createSwitch(name: string): void {
  checkName(name);
  if (exists(name)) {
    throw new ConfigError({ key: "SWITCH", value: name, message: "exists already" });
  }
  ip("link", "add", "name", name, "type", "bridge");
  ip("link", "set", "dev", name, "alias", mark, "up");
}

export function switchNames(): readonly string[] {
  return listFolder(interfaces).filter((name) => {
    const alias = `${interfaces}/${name}/ifalias`;
    return existsSync(alias) && readFileSync(alias, "utf8").trim() === mark;
  });
}

export function destroySwitch(name: string): void {
  if (!switchNames().includes(name)) {
    throw new ConfigError({ key: "SWITCH", value: name, message: `is no switch of tsvm; allowed: ${
      switchNames().join(", ") || "none yet"}` });
  }
  ip("link", "delete", "dev", name);
}

/** The taps that a machine names and that are not there: made at its start, removed at its end.
 * They join the only switch there is; with several, the person says which. */
export function tapsFor(tree: Tree): { make(): void; remove(): void } {
  const wanted = [...tree.root.entries()].filter(({ key }) => /^pci\..*\.backend$/.test(key))
    .map(({ value }) => tree.expand(value)).filter((value) => /^tap[0-9]+$/.test(value));
  const made: string[] = [];
  return {
    make() {
      for (const tap of wanted.filter((name) => !exists(name))) {
        ip("tuntap", "add", "dev", tap, "mode", "tap");
        made.push(tap);
        const [only, ...more] = switchNames();
        ip("link", "set", "dev", tap, ...(only !== undefined && more.length === 0
          ? ["master", only] : []), "up");
      }
    },
    remove() {
      made.splice(0).forEach((tap) => ip("link", "delete", "dev", tap));
    },
  };
}
