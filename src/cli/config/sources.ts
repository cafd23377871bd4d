/** Descriptions of machines read from files, in any format. */
import { dirname } from "node:path";
import { ConfigError, HostError, exitStatus } from "../../base/errors.ts";
import { nearest } from "../../config/suggest.ts";
import type { Entry } from "../../formats/entries.ts";
import type { Format, ReadOptions, ReadResult } from "../../formats/format.ts";
import { formats, guessFormat } from "../../formats/registry.ts";
import { quoteWord } from "../../formats/shell-words.ts";
import { Source, sourceOf, textBytesMax } from "../../formats/source.ts";
import { fileSize } from "../../host/folders.ts";
import { pathInside, readBeginning } from "../../host/text-reader.ts";
import { readTextFile } from "../text-file.ts";
import { lastOf } from "./words.ts";
import type { Words } from "./words.ts";

/** Options that readers take, for every verb. */
export const readingOptions = ["from", "include-dir", "define", "machine"] as const;

export interface Description {
  readonly format: Format;
  readonly name: string;
  readonly result: ReadResult;
}

export function formatNamed(name: string): Format {
  const found = formats.find((each) => each.name === name);
  if (!found) {
    const names = formats.map((each) => each.name);
    const near = nearest(name, names);
    throw new ConfigError({ key: "format", value: name, message: `is not known${
      near === undefined ? "" : `; did you mean ${near}?`}; allowed: ${names.join(", ")}`,
    }, exitStatus.powerOff);
  }
  return found;
}

/** Reads a file, `-` for standard input, or the words behind `--` as a command line. */
export function readDescription(file: string | undefined, words: Words): Description {
  if (file === undefined && words.rest.length === 0) {
    throw new ConfigError({ key: "FILE", message: "is missing; allowed: a file, - for standard "
      + "input, or -- and a command line" }, exitStatus.powerOff);
  }
  const source = file === undefined
    ? new Source("arguments", words.rest.map(quoteWord).join(" ")) : readSource(file);
  const stated = lastOf(words, "from");
  const format = stated !== undefined ? formatNamed(stated)
    : file === undefined ? formatNamed("bhyve-argv") : guessFormat(source.name, source.text);
  if (!format) {
    throw new ConfigError({ key: source.at(0), message: "the format cannot be told; use --from "
      + formats.map((each) => each.name).join("|") }, exitStatus.powerOff);
  }
  return { format, name: source.name, result: format.read(source, readOptions(source, words)) };
}

/** For `-f FILE`: the keys of the named machine, or undefined if there is no such file. */
export function describeMachine(
  file: string, name: string | undefined,
): readonly Entry[] | undefined {
  if (fileSize(file) === undefined) {
    return undefined;
  }
  const words = { values: new Map(name === undefined ? [] : [["machine", [name]] as const]),
    switches: new Set<string>(), operands: [], rest: [] };
  return readDescription(file, words).result.entries;
}

function readSource(file: string): Source {
  return sourceOf(file === "-" ? "standard input" : file,
    readBeginning(file, textBytesMax + 1));
}

function readOptions(source: Source, words: Words): ReadOptions {
  const machine = lastOf(words, "machine");
  const variables = new Map((words.values.get("define") ?? []).map((each) => {
    const [name = "", ...value] = each.split("=");
    return [name, value.join("=")] as const;
  }));
  const folder = lastOf(words, "include-dir") ?? dirname(source.name);
  return {
    ...(machine !== undefined && { machine }), variables, readFile: readTextFile,
    include: (path) => includeFrom(folder, path),
  };
}

/** A file that a text includes; it must lie in the folder. Throws ConfigError. */
export function includeFrom(folder: string, path: string): Source {
  try {
    const real = pathInside(folder, path);
    if (real === undefined) {
      throw new ConfigError({ key: path, message: `"${path}" leads out of ${folder}; allowed: `
        + "files in it (--include-dir)" });
    }
    return sourceOf(real, readBeginning(real, textBytesMax + 1));
  } catch (error) {
    if (error instanceof HostError) {
      throw new ConfigError({ key: path, message: error.message });
    }
    throw error;
  }
}
