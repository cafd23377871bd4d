/**
 * Functions of shared libraries (libslirp, libvmmapi), for rare calls: one small adapter of
 * ffi-napi's shape before the ways that a host may have, in this order: Node's own `node:ffi`
 * (26.1 and later), `koffi`, and `ffi-napi` where the user has installed it.
 */
import { HostError } from "../base/errors.ts";
import { assert } from "../base/assert.ts";

/** Types of parameters and results; `string` ends with a NUL, `pointer` is a typed array. */
export type FfiType = "void" | "int" | "uint32" | "int64" | "uint64" | "double" | "string"
  | "pointer";
export type FfiArgument = number | bigint | string | Uint8Array | null;
export type FfiResult = number | bigint | string | null | undefined;
export type FfiFunction = (...values: FfiArgument[]) => FfiResult;
/** Result and parameters, as ffi-napi writes them. */
export type FfiSignature = readonly [result: FfiType, parameters: readonly FfiType[]];

export interface FfiProvider {
  readonly name: string;
  /** Opens a library and looks its functions up; throws what the provider throws. */
  Library<N extends string>(
    path: string, functions: Readonly<Record<N, FfiSignature>>,
  ): Readonly<Record<N, FfiFunction>>;
}

/** The one command that brings a provider to any Node. */
export const ffiInstallCommand = "npm install --no-save koffi@3.3.4";

type Call = (...values: unknown[]) => unknown;
type Bind = (path: string) => (name: string, signature: FfiSignature) => Call;

/** Names of our types where a provider has others. */
const koffiTypes: Readonly<Record<FfiType, string>> = {
  void: "void", int: "int", uint32: "uint32_t", int64: "int64_t", uint64: "uint64_t",
  double: "double", string: "str", pointer: "void *",
};
const nodeTypes: Readonly<Record<FfiType, string>> = {
  void: "void", int: "i32", uint32: "u32", int64: "i64", uint64: "u64", double: "f64",
  string: "string", pointer: "pointer",
};

const isWide = (type: FfiType) => type === "int64" || type === "uint64";

/** Results in one form: 64-bit integers as bigint, others as they are. */
function result(type: FfiType, value: unknown): FfiResult {
  if (type === "void") {
    return undefined;
  }
  if (isWide(type) && (typeof value === "number" || typeof value === "string")) {
    return BigInt(value);
  }
  assert(value === null || ["number", "bigint", "string"].includes(typeof value)
    || typeof value === "object", "a result that was declared");
  return value as FfiResult;
}

function checkArguments(name: string, types: readonly FfiType[], values: FfiArgument[]): void {
  const wrong = values.length !== types.length ? `${values.length} arguments` : types
    .flatMap((type, index) => fits(type, values[index]) ? [] : [`argument ${index + 1}`])[0];
  if (wrong !== undefined) {
    throw new TypeError(`${name}: ${wrong}; it takes (${types.join(", ")})`);
  }
}

function fits(type: FfiType, value: FfiArgument | undefined): boolean {
  switch (type) {
    case "string": return typeof value === "string";
    case "pointer": return value === null || value instanceof Uint8Array;
    case "double": return typeof value === "number";
    case "void": return false;
    default: return typeof value === "bigint" || Number.isSafeInteger(value);
  }
}

function provider(name: string, bind: Bind): FfiProvider {
  return {
    name,
    Library: (path, functions) => {
      const lookUp = bind(path);
      const made: [string, FfiFunction][] = Object.entries<FfiSignature>(functions)
        .map(([each, signature]) => {
          const call = lookUp(each, signature);
          return [each, (...values) => {
            checkArguments(each, signature[1], values);
            return result(signature[0], call(...values.map((value, index) =>
              typeof value === "number" && isWide(signature[1][index] ?? "int")
                ? BigInt(value) : value)));
          }];
        });
      return Object.fromEntries(made) as ReturnType<FfiProvider["Library"]>;
    },
  };
}

interface NodeFfi {
  dlopen(path: string, functions: object): { readonly functions: Readonly<Record<string, Call>> };
}

function fromNode(module: NodeFfi): FfiProvider {
  return provider("node:ffi", (path) => (name, [returned, parameters]) => {
    const signature = {
      return: nodeTypes[returned], arguments: parameters.map((type) => nodeTypes[type]),
    };
    const call = module.dlopen(path, { [name]: signature }).functions[name];
    assert(call !== undefined, `${name} was looked up`);
    return call;
  });
}

interface Koffi {
  load(path: string): { func(name: string, result: string, parameters: string[]): Call };
}

function fromKoffi(module: Koffi): FfiProvider {
  return provider("koffi", (path) => {
    const library = module.load(path);
    return (name, [returned, parameters]) =>
      library.func(name, koffiTypes[returned], parameters.map((type) => koffiTypes[type]));
  });
}

interface FfiNapi {
  Library(path: string, functions: object): Readonly<Record<string, Call>>;
}

function fromFfiNapi(module: FfiNapi): FfiProvider {
  return provider("ffi-napi", (path) => (name, signature) => {
    const call = module.Library(path, { [name]: signature })[name];
    assert(call !== undefined, `${name} was looked up`);
    return call;
  });
}

/** How each is found; the names keep the compiler from looking for packages that are optional. */
const sources: readonly { readonly name: string; make(module: never): FfiProvider }[] = [
  { name: "node:ffi", make: fromNode }, { name: "koffi", make: fromKoffi },
  { name: "ffi-napi", make: fromFfiNapi },
];

export type Import = (name: string) => Promise<{ readonly default?: unknown }>;

/** The first provider that there is; throws HostError that says how to get one. */
export async function findFfi(
  use: string, load: Import = (name) => import(name),
): Promise<FfiProvider> {
  for (const { name, make } of sources) {
    try {
      const module = await load(name);
      return make((module.default ?? module) as never);
    } catch (error) {
      if (!isAbsent(error)) {
        throw new HostError(`${use}: the package ${name}`, error);
      }
    }
  }
  throw new HostError(use, `it needs a package that calls shared libraries: ${ffiInstallCommand}`);
}

/** Not there at all, or switched off (`node:ffi` before 26.8 without its flag). */
function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error
    && ["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND", "ERR_UNKNOWN_BUILTIN_MODULE"]
      .includes(String(error.code));
}
