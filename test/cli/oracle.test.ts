/**
 * What bhyve 15.1 did with a command line, recorded on the real program (`bhyve-oracle.json`),
 * beside what we do with it. Cases of stage `dump` end in or before `config.dump=1`: standard
 * output and exit status are compared byte for byte.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, exitStatus } from "../../src/base/errors.ts";
import { readCommandLine } from "../../src/cli/command-line.ts";
import { readTextFile } from "../../src/cli/text-file.ts";
import { verify } from "../../src/cli/verify.ts";
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

/** Calls `body` in a folder of its own that holds the case's files. */
function inFolder<T>(files: OracleCase["files"], body: () => T): T {
  const before = process.cwd();
  const folder = mkdtempSync(join(tmpdir(), "tsbhyve-oracle-"));
  try {
    process.chdir(folder);
    writeFiles(files);
    return body();
  } finally {
    process.chdir(before);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A dump, or what ends before it, is answered without waiting for anything. */
function answer(argv: readonly string[], files: OracleCase["files"]): Outcome {
  let stderr = "";
  const request = inFolder(files, () => readCommandLine(argv, {
    say: (line) => { stderr += `${line}\n`; }, readFile: readTextFile, version: () => "",
  }));
  assert.equal(request.kind, "answer", `${argv.join(" ")} ends without a machine`);
  return request.kind === "answer"
    ? { status: request.status, stdout: request.output, stderr }
    : { status: -1, stdout: "", stderr };
}

const dumps = cases.filter(({ stage }) => stage === "dump");

for (const group of new Set(dumps.map((each) => each.group))) {
  const members = dumps.filter((each) => each.group === group);
  test(`bhyve's answers to ${members.length} command lines about ${group}`, () => {
    for (const { id, argv, files, exit, stdout, stderr } of members) {
      const ours = answer(argv, files);
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

/** Where we differ from bhyve on purpose or for now; everything else is equal. */
const unknownKey = "a key that nobody knows is an error; config.strict=false gives bhyve's silence";
const oneCpu = "the software back end has one vCPU";
const noDebugger = "there is no gdb stub yet: its keys are checked by nobody";
const differences = new Map<string, string>([
  ["init-topology-002", oneCpu], ["init-topology-019", oneCpu], ["init-topology-020", oneCpu],
  ["init-topology-031", oneCpu], ["init-topology-033", oneCpu], ["init-multi-001", oneCpu],
  ["init-multi-002", oneCpu], ["init-multi-003", oneCpu], ["init-multi-006", oneCpu],
  ["init-multi-008", oneCpu], ["init-multi-010", oneCpu],
  ["init-memory-010", "guest memory is at most what a WebAssembly memory can be"],
  ["init-memory-033", "nothing is wired, so there is no limit to it"],
  ["init-cpuset-018", "bhyve aborts; we pin nothing"],
  ["init-pcitree-009", unknownKey], ["init-pcitree-013", unknownKey],
  ["init-pcitree-016", unknownKey], ["init-pcitree-017", unknownKey],
  ["init-pcitree-018", unknownKey], ["init-pcitree-019", unknownKey],
  ["init-pcitree-020", unknownKey], ["init-pcitree-032", unknownKey],
  ["init-pcitree-033", unknownKey], ["init-device-virtio-blk-024", unknownKey],
  ["init-device-virtio-blk-025", "a serial number that does not fit is an error"],
  ["init-gdb-005", noDebugger], ["init-gdb-008", noDebugger], ["init-gdb-011", noDebugger],
  ["init-gdb-013", noDebugger], ["init-gdb-017", noDebugger],
]);

/** A device without a model ends a start, whatever bhyve does; its keys are judged all the same,
 * and the schema refuses none that bhyve takes. */
const noModel = /has no model in tsbhyve yet/;
const unknown = /is an unknown key/;

/** The status our checks give before a machine is built; 0 if it would start. */
function statusOf(argv: readonly string[], files: OracleCase["files"]): Outcome {
  let stderr = "";
  const say = (line: string) => { stderr += `${line}\n`; };
  const status = inFolder(files, () => {
    const request = readCommandLine(argv, { say, readFile: readTextFile, version: () => "" });
    if (request.kind === "answer") {
      return request.status;
    }
    try {
      verify(request, say);
      return 0;
    } catch (error) {
      if (!(error instanceof ConfigError)) {
        throw error;
      }
      say(error.message);
      return error.status;
    }
  });
  return { status, stdout: "", stderr };
}

/** What bhyve made of a configuration: 0 if all devices accepted it and the guest ran. */
function bhyveStatus({ class: kind, exit }: OracleCase): number | undefined {
  if (kind === "abort" || kind === "segfault") {
    return exitStatus.error; // Its crashes are errors of ours.
  }
  return kind.startsWith("guest-") || kind === "still-running" ? 0 : exit;
}

test("bhyve's verdicts on configurations that go beyond a dump", () => {
  const inits = cases.filter(({ stage }) => stage === "init");
  const wrong: string[] = [];
  for (const each of inits) {
    const { id, argv, files } = each;
    const wanted = bhyveStatus(each);
    const { status, stderr } = statusOf(argv, files);
    if (noModel.test(stderr)) {
      const others = stderr.trim().split("\n").filter((line) => !line.startsWith("tsbhyve: ")
        && !noModel.test(line) && !unknown.test(line));
      wrong.push(...(status !== 4 || (wanted === 0 && others.length > 0)
        ? [`${id}: ${others.join("; ")}`] : []));
      continue;
    }
    const difference = differences.get(id);
    if ((status === wanted) !== (difference === undefined)) {
      wrong.push(`${id}: ${status}, recorded ${wanted}; ${argv.join(" ")}; ${stderr.trim()}`);
    }
    if (difference === unknownKey) {
      const silent = statusOf(["-o", "config.strict=false", ...argv], files);
      assert.equal(silent.status, wanted, id);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(inits.length > 200, "there are recordings");
});
