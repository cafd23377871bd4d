/** Every example of the README is run. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { assert, skipTest, test } from "./support/harness.ts";
import { repositoryRoot } from "./support/paths.ts";

const text = readFileSync(join(repositoryRoot, "README.md"), "utf8");
const examples = [...text.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block = ""]) => block.trim().split("\n"));

const limitMs = 300_000;

interface Expectation {
  /** What a person would type once the prompt is there. */
  readonly input?: { readonly prompt: RegExp; readonly text: string };
  readonly output: RegExp;
  /** A file of another package that the example names. */
  readonly needs?: string;
}

const expectations: Readonly<Record<string, Expectation>> = {
  "npm start": {
    input: { prompt: /# \S*$/, text: "poweroff\n" },
    output: /The disk is on \/mnt|self-test/,
  },
  "npm start -- --check": { output: /The check passed/ },
  "node bin/tsbhyve.mjs help memory.size": { output: /Guest memory/ },
  "node bin/tsbhyve.mjs config translate --to libvirt-xml -- -m 512 -s 3,virtio-blk,disk.img vm0":
    { output: /<source file="disk\.img"\/>/ },
  "node bin/tsbhyve.mjs doctor": { output: /vmm\.backend=soft/ },
};

function expectationOf(example: string): Expectation | undefined {
  return example.includes("--dry-run")
    ? { output: /hostbridge/, needs: "/boot/memtest86+x64.bin" } : expectations[example];
}

/** Runs an example in a process group of its own, so that nothing of it can stay behind. */
function run(example: string, expected: Expectation): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn("sh", ["-c", example], {
      cwd: repositoryRoot, stdio: ["pipe", "pipe", "pipe"], detached: true,
    });
    let output = "", typed = false;
    const timer = setTimeout(() => process.kill(-(child.pid ?? 0), "SIGKILL"), limitMs);
    const hear = (bytes: Buffer) => {
      output += bytes.toString("latin1");
      if (!typed && expected.input?.prompt.test(output) === true) {
        typed = true;
        child.stdin.write(expected.input.text);
      }
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? -1, output });
    });
    if (expected.input === undefined) {
      child.stdin.end();
    }
  });
}

for (const example of examples) {
  const expected = expectationOf(example);
  const name = `README: ${example.slice(0, 60)}`;
  if (expected?.needs !== undefined && !existsSync(expected.needs)) {
    skipTest(name, `${expected.needs} is missing (package memtest86+)`);
    continue;
  }
  test(name, async () => {
    assert.ok(expected !== undefined, "an expectation stands in this test");
    const { status, output } = await run(example, expected);
    assert.equal(status, 0, output.slice(-3000));
    assert.match(output, expected.output);
  });
}

test("there are examples, and the README is one screen", () => {
  assert.ok(examples.length >= 5);
  assert.ok(text.split("\n").length <= 60);
});
