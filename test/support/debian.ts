/** Debian's kernel and busybox, as the quick start fetches and keeps them. */
import { spawnSync } from "node:child_process";
import type { LinuxGuest } from "../../src/runner/linux-guest.ts";

/** The guest, or why it cannot be had. Throws when the quick start itself is broken. Fetched by a
 * process of its own: tests are registered before anything can be awaited. */
export function debianGuest(): LinuxGuest | { readonly reason: string } {
  const module = new URL("../../src/runner/quick-start.js", import.meta.url);
  const program = `import(${JSON.stringify(module)})
    .then(({ quickStart }) => quickStart(["--prepare"]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", program], { encoding: "utf8" });
  const lines = stdout.split("\n").map((line) => /^(\w+)=(.*)$/.exec(line) ?? []);
  const facts = new Map(lines.map(([, key = "", value = ""]) => [key, value]));
  const kernelPath = facts.get("kernel"), initrdPath = facts.get("initrd");
  if (kernelPath === undefined) {
    throw new Error(stderr);
  }
  return initrdPath !== undefined ? { kernelPath, initrdPath } : {
    reason: /cannot be had: (.*)/.exec(stderr)?.[1] ?? "only the built-in guest can be had",
  };
}
