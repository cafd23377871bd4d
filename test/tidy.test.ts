/** The rules of the source tree that a machine can check: rooms and arrows, sizes, words. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { assert, test } from "./support/harness.ts";
import { repositoryRoot } from "./support/paths.ts";

/** A room imports rooms of lower levels, and itself. */
const levels: Readonly<Record<string, number>> = {
  base: 0, config: 1, fabric: 1, host: 1, formats: 2,
  backends: 2, devices: 2, firmware: 2, cpu: 2, vmm: 3,
  machine: 4, control: 5, console: 5, cli: 6, runner: 6,
};
/** Rooms of the same level that may be used all the same, each with its reason. */
const neighbours = new Set([
  "host config", // Host files name the key that was wrong.
  "fabric config", // Options stand in the descriptions of devices.
  "runner cli", // The quick start runs the command line.
]);
const lineMax = 500, columnsMax = 100, functionMax = 70;
/** Files above the limit; the list only shrinks. */
const longFiles = new Set([
  "src/cpu/tier/mmu.ts",
]);
const wordsNotInNames = /(manager|util|helper(?!s\.ts)|common|data|info|impl)/i;

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

function filesIn(folder: string): SourceFile[] {
  return readdirSync(join(repositoryRoot, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const text = readFileSync(path, "utf8");
      return { path: relative(repositoryRoot, path), text, lines: text.split("\n") };
    });
}

const sources = filesIn("src");
const everything = [...sources, ...filesIn("test"), ...filesIn("bench")];

const roomOf = (path: string) => path.split("/")[1] ?? "";

/** Lines as `file:number: text` where the pattern matches, comments and strings left out. */
function offences(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap(({ path, lines }) => lines.flatMap((line, index) => {
    const code = line.replace(/\/\/.*$|^\s*\/?\*.*$/, "").replace(/"[^"]*"|`[^`]*`/g, "\"\"");
    return pattern.test(code) ? [`${path}:${index + 1}: ${line.trim()}`] : [];
  }));
}

test("rooms import only rooms of lower levels", () => {
  const wrong: string[] = [];
  for (const { path, text } of sources) {
    const room = roomOf(path);
    assert.ok(room in levels, `${path}: ${room} is a room of ARCHITECTURE.md`);
    const imports = text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
    for (const [, target = ""] of imports) {
      const file = resolve(repositoryRoot, dirname(path), target);
      const other = roomOf(relative(repositoryRoot, file));
      const below = (levels[other] ?? 99) < (levels[room] ?? -1);
      if (other !== room && !below && !neighbours.has(`${room} ${other}`)) {
        wrong.push(`${path} imports ${target}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("device models never reach for backends, host or vmm", () => {
  const wrong = sources.filter(({ path, text }) => path.startsWith("src/devices/")
    && /from "[./]*\/(backends|host|vmm)\//.test(text));
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

test("devices, fabric and configuration open nothing of the host", () => {
  const wrong = sources.filter(({ path, text }) => /^src\/(devices|fabric|config)\//.test(path)
    && /from "node:(fs|net|child_process|os)/.test(text));
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

test("files and lines are short", () => {
  const long = everything.filter(({ path, lines }) => lines.length > lineMax + 1
    && !longFiles.has(path)).map(({ path, lines }) => `${path}: ${lines.length} lines`);
  const wide = everything.flatMap(({ path, lines }) => lines.flatMap((line, index) =>
    line.length > columnsMax ? [`${path}:${index + 1}: ${line.length} columns`] : []));
  assert.deepEqual([...long, ...wide], []);
});

test("files on the list of long ones are still long", () => {
  const short = [...longFiles].filter((path) => {
    const file = sources.find((each) => each.path === path);
    return file === undefined || file.lines.length <= lineMax + 1;
  });
  assert.deepEqual(short, []);
});

const functionStart = /^(?:export )?(?:async )?function\b/;
const methodStart = /^ {2}(?:static |async |get |set |\*)*[#\w]+\(.*\{$/;

function longFunctions({ path, lines }: SourceFile): string[] {
  const long: string[] = [];
  let start = -1, closing = "";
  for (const [index, line] of lines.entries()) {
    const isMethod = methodStart.test(line) && !line.endsWith("=> {");
    if (start < 0 && (functionStart.test(line) || isMethod)) {
      start = index;
      closing = functionStart.test(line) ? "}" : "  }";
    } else if (start >= 0 && line === closing) {
      if (index - start + 1 > functionMax) {
        long.push(`${path}:${start + 1}: ${index - start + 1} lines`);
      }
      start = -1;
    }
  }
  return long;
}

test("functions have at most 70 lines", () => {
  assert.deepEqual(sources.flatMap(longFunctions), []);
});

test("the language stays within the subset", () => {
  assert.deepEqual(offences(sources, /\b(enum|namespace)\s+\w+\s*\{/), []);
  assert.deepEqual(offences(sources, /[:<,]\s*any\b/), []);
  assert.deepEqual(offences(sources.filter(({ path }) => path.startsWith("src/devices/")),
    /switch \(offset\)/), []);
});

test("library code neither prints nor ends the process", () => {
  const library = sources.filter(({ path }) => !/^src\/(cli|runner)\//.test(path));
  assert.deepEqual(offences(library, /\bconsole\.\w+\(|process\.exit\(/), []);
});

test("names say what a thing is", () => {
  assert.deepEqual(sources.map(({ path }) => path)
    .filter((path) => wordsNotInNames.test(path.slice("src/".length))), []);
});

test("nothing is left to do without an issue", () => {
  assert.deepEqual(everything.filter(({ path }) => path !== "test/tidy.test.ts")
    .flatMap(({ path, lines }) => lines.flatMap((line, index) =>
      /\b(TODO|FIXME|XXX)\b(?!.*#\d)/.test(line) ? [`${path}:${index + 1}`] : [])), []);
});

test("ARCHITECTURE.md names only what exists", () => {
  const text = readFileSync(join(repositoryRoot, "ARCHITECTURE.md"), "utf8");
  const named = [...text.matchAll(/`((?:src|test|native|bench|guests|scripts|docs)\/[\w./-]+)`/g)]
    .map(([, path = ""]) => path);
  assert.ok(named.length > 10, "it names places");
  assert.deepEqual(named.filter((path) => !existsSync(join(repositoryRoot, path))), []);
});

test("tests mirror the sources: no test folder without its room", () => {
  const rooms = new Set(readdirSync(join(repositoryRoot, "src")));
  const folders = readdirSync(join(repositoryRoot, "test"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== "support").map(({ name }) => name);
  assert.deepEqual(folders.filter((name) => !rooms.has(name)), []);
});
