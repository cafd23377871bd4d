/**
 * What bhyve 15.1 did with a command line, recorded on the real program (`bhyve-oracle.json`),
 * beside what we do with it. Cases of stage `dump` end in or before `config.dump=1`: standard
 * output and exit status are compared byte for byte.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../src/cli/main.ts";
import { assert, test } from "../support/harness.ts";
import { testFile } from "../support/paths.ts";

interface OracleFile {
  readonly text?: string;
  readonly zeros?: number;
  readonly directory?: boolean;
  readonly rom?: string;
}

interface OracleCase {
  readonly id: string;
  readonly group: string;
  readonly stage: string;
  readonly argv: readonly string[];
  readonly files?: { readonly [name: string]: OracleFile };
  readonly exit?: number;
  readonly class: string;
  readonly stdout: string;
  readonly stderr: string;
}

const { cases }: { cases: OracleCase[] } =
  JSON.parse(readFileSync(testFile("config", "bhyve-oracle.json"), "utf8"));

/** A boot ROM as the recording had it: 4 KiB of HLT, the code at 0, a jump to it at the end. */
function rom(hex: string): Uint8Array {
  const bytes = new Uint8Array(4096).fill(0xf4);
  bytes.set(hex.split(" ").map((byte) => Number.parseInt(byte, 16)));
  bytes.set([0xe9, 0x0d, 0xf0], 0xff0);
  bytes.fill(0, 0xff8);
  return bytes;
}

function writeFiles(files: OracleCase["files"]): void {
  for (const [name, file] of Object.entries(files ?? {})) {
    if (file.directory) {
      mkdirSync(name);
    } else {
      writeFileSync(name, file.rom === undefined ? file.text ?? new Uint8Array(file.zeros ?? 0)
        : rom(file.rom));
    }
  }
}

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs our program in a folder of its own that holds the case's files. */
async function run(argv: readonly string[], files: OracleCase["files"]): Promise<Outcome> {
  const before = process.cwd();
  const folder = mkdtempSync(join(tmpdir(), "tsbhyve-oracle-"));
  let stdout = "";
  let stderr = "";
  try {
    process.chdir(folder);
    writeFiles(files);
    const status = await main(argv, {
      out: (text) => { stdout += text; }, error: (text) => { stderr += text; },
    });
    return { status, stdout, stderr };
  } finally {
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
  }
}

const dumps = cases.filter(({ stage }) => stage === "dump");

for (const group of new Set(dumps.map((each) => each.group))) {
  const members = dumps.filter((each) => each.group === group);
  test(`bhyve's answers to ${members.length} command lines about ${group}`, async () => {
    for (const { id, argv, files, exit, stdout, stderr } of members) {
      const ours = await run(argv, files);
      assert.deepEqual(
        { id, argv, status: ours.status, stdout: ours.stdout },
        { id, argv, status: exit, stdout });
      if (stderr === "") {
        assert.equal(ours.stderr, "", id);
      } else {
        assert.notEqual(ours.stderr, "", id);
      }
    }
  });
}
