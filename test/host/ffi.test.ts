import { createRequire } from "node:module";
import { HostError } from "../../src/base/errors.ts";
import { ffiInstallCommand, findFfi, type Import } from "../../src/host/ffi.ts";
import { assert, skipTest, test } from "../support/harness.ts";

const absent: Import = (name) =>
  Promise.reject(Object.assign(new Error(`no ${name}`), { code: "ERR_MODULE_NOT_FOUND" }));

/** Modules of each provider's shape, whose functions tell how they were called. */
function pretend(name: string, log: unknown[]): Import {
  const call = (...values: unknown[]) => {
    log.push(values);
    return values.length;
  };
  const modules: Readonly<Record<string, unknown>> = {
    "node:ffi": { dlopen: (path: string, functions: Record<string, unknown>) => {
      log.push(path, functions);
      return { functions: Object.fromEntries(Object.keys(functions).map((each) => [each, call])) };
    } },
    koffi: { load: (path: string) => ({ func: (...words: unknown[]) => {
      log.push(path, words);
      return call;
    } }) },
    "ffi-napi": { Library: (path: string, functions: Record<string, unknown>) => {
      log.push(path, functions);
      return Object.fromEntries(Object.keys(functions).map((each) => [each, call]));
    } },
  };
  return (wanted) => wanted === name ? Promise.resolve({ default: modules[name] })
    : absent(wanted);
}

const expectations: Readonly<Record<string, unknown>> = {
  "node:ffi": { f: { return: "u64", arguments: ["string", "pointer", "i64"] } },
  koffi: ["f", "uint64_t", ["str", "void *", "int64_t"]],
  "ffi-napi": { f: ["uint64", ["string", "pointer", "int64"]] },
};

for (const [name, expected] of Object.entries(expectations)) {
  test(`${name} is asked in its own words, and answers in ours`, async () => {
    const log: unknown[] = [];
    const provider = await findFfi("the test", pretend(name, log));
    assert.equal(provider.name, name);
    const { f } = provider.Library("libx.so", { f: ["uint64", ["string", "pointer", "int64"]] });
    assert.equal(f("text", null, 5), 3n, "64 bits are a bigint");
    assert.deepEqual(log, ["libx.so", expected, ["text", null, 5n]]);
    assert.throws(() => f("text", null),
      /^TypeError: f: 2 arguments; it takes \(string, pointer, int64\)$/);
    assert.throws(() => f(1, null, 5), /f: argument 1; it takes/);
    assert.throws(() => f("x", "y", 5), /f: argument 2/);
    assert.throws(() => f("x", null, 0.5), /f: argument 3/);
  });
}

test("without any of them the error says what to install; a broken one is told", async () => {
  await assert.rejects(findFfi("libslirp", absent), (error) => error instanceof HostError
    && error.message.startsWith("libslirp: it needs") && error.message.endsWith(ffiInstallCommand));
  await assert.rejects(findFfi("libslirp", () => Promise.reject(new Error("wrong ELF class"))),
    /libslirp: the package node:ffi: wrong ELF class/);
});

const realName = "a function of the C library is called for real";
if (isInstalled("koffi")) {
  test(realName, async () => {
    const provider = await findFfi("the test");
    const libc = provider.Library(process.platform === "linux" ? "libc.so.6" : "libc.so.7", {
      strtoull: ["uint64", ["string", "pointer", "int"]], getenv: ["string", ["string"]],
      memcpy: ["pointer", ["pointer", "string", "uint64"]],
    });
    assert.equal(libc.strtoull("18446744073709551615", null, 10), 2n ** 64n - 1n);
    assert.equal(libc.getenv("TSBHYVE_NO_SUCH_NAME"), null);
    const bytes = new Uint8Array(4);
    libc.memcpy(bytes, "abcd", 4);
    assert.deepEqual([...bytes], [...Buffer.from("abcd")]);
  });
} else {
  skipTest(realName, `koffi is not installed; to install it: ${ffiInstallCommand}`);
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
