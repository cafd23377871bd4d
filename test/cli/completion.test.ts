/** Completion, asked of the shells themselves. */
import { spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { delimiter } from "node:path";
import { candidatesFor } from "../../src/cli/completion/words.ts";
import { completionScript, shells } from "../../src/cli/completion/scripts.ts";
import type { Shell } from "../../src/cli/completion/scripts.ts";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const folder = testFolder();
const program = folder.file("tsbhyve");
writeFileSync(program,
  `#!/bin/sh\nexec ${process.execPath} ${repositoryRoot}/bin/tsbhyve.mjs "$@"\n`);
chmodSync(program, 0o755);
for (const shell of shells) {
  writeFileSync(folder.file(`completion.${shell}`), completionScript(shell, "tsbhyve"));
}

/** How each shell completes a line without a person: what it would offer, a word a line. */
const askers: Readonly<Record<Shell, (line: string) => readonly string[]>> = {
  bash: (line) => ["bash", "--norc", "-c", `. "$1"; COMP_LINE=$2; COMP_POINT=\${#2}
    _tsbhyve_complete 2>/dev/null; printf '%s\\n' "\${COMPREPLY[@]}"`, "bash",
  folder.file("completion.bash"), line],
  zsh: (line) => ["zsh", "-f", "-c", `autoload -U compinit; compinit -D -u
    . "$1"; words=(\${(z)2}); [[ $2 = *' ' ]] && words+=('')
    CURRENT=$#words
    compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -l -- "$@" }
    _files() { print -- FILES }
    _tsbhyve`, "zsh", folder.file("completion.zsh"), line],
  fish: (line) => ["fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`,
    folder.file("completion.fish"), line],
};

function offers(shell: Shell, line: string): readonly string[] {
  const [command = "", ...words] = askers[shell](line);
  const { stdout, stderr, error } = spawnSync(command, words, {
    encoding: "utf8", timeout: 60_000, cwd: folder.path,
    env: { ...process.env, HOME: folder.path,
      PATH: `${folder.path}${delimiter}${process.env["PATH"] ?? ""}` },
  });
  assert.equal(error, undefined, stderr);
  return stdout.split("\n").map((each) => each.split("\t", 1)[0] ?? "")
    .filter((each) => each !== "");
}

/** Bash is given what follows the last `=`, because it breaks words there. */
const cases: readonly (readonly [line: string, word: string, bash?: string])[] = [
  ["tsbhyve he", "help"], ["tsbhyve config tr", "translate"],
  ["tsbhyve config translate --to libv", "libvirt-xml"],
  ["tsbhyve -s 3,virtio-b", "3,virtio-blk"],
  ["tsbhyve -s 3,virtio-blk,/x,sect", "3,virtio-blk,/x,sectorsize="],
  ["tsbhyve -H -o memory.w", "memory.wired="],
  ["tsbhyve -o memory.wired=t", "memory.wired=true", "true"],
  ["tsbhyve -o pci.0.3.0.device=nv", "pci.0.3.0.device=nvme", "nvme"],
  ["tsbhyve help virtio-r", "virtio-rnd"], ["tsbhyve -l pc", "pc-testdev"],
];

for (const shell of shells) {
  if (spawnSync(shell, ["-c", "true"]).error !== undefined) {
    skipTest(`${shell} completes`, `${shell} is missing`);
    continue;
  }
  test(`${shell} completes commands, flags, devices, keys and values`, () => {
    for (const [line, word, inBash] of cases) {
      const expected = shell === "bash" ? inBash ?? word : word;
      const offered = offers(shell, line);
      assert.ok(offered.includes(expected), `${line}: ${offered.join(" ")}`);
    }
    assert.deepEqual(offers(shell, "tsbhyve nothing-of-the-kind x"), []);
  });
}

test("every offered key can be given, and files are offered where they belong", () => {
  const keys = candidatesFor(["-o", ""]).words;
  assert.ok(keys.length > 50 && keys.every(({ word, open }) => open && /^[\w.-]+=$/.test(word)));
  assert.equal(candidatesFor(["-k", ""]).files, true);
  assert.equal(candidatesFor(["config", "check", ""]).files, true);
  assert.equal(candidatesFor(["-o", ""]).files, false);
});
