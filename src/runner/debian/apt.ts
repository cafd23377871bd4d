/**
 * Debian packages through apt (apt-get(8), apt-cache(8)) without installing them and without
 * root: apt's caches, and package lists if the system has none of use, are in our own folder.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { readWholeFile } from "../../host/files.ts";
import { fileSize, listFolder, makeFolder } from "../../host/folders.ts";
import type { Stages } from "../stages.ts";
import type { CommandResult, RunCommand } from "./command.ts";

const progressIntervalMs = 250;
/** By itself, apt-get update calls it a success when no server could be reached. */
const everyFailure = "APT::Update::Error-Mode=any";
/** What apt calls digests, and what Node does; weaker ones prove nothing. */
const digests: ReadonlyMap<string, string> = new Map([["SHA256", "sha256"], ["SHA512", "sha512"]]);

/** What apt knows of one package file. */
export interface PackageFile {
  readonly fileName: string;
  readonly sizeBytes: number;
  /** Name of the digest, as in `SHA256`, and its value in hexadecimal. */
  readonly digest: string;
  readonly digestValue: string;
}

/** The host cannot give us the packages; the message says why. */
export class NoPackagesError extends Error {
  override readonly name = "NoPackagesError";
}

export interface AptOptions {
  readonly folder: string;
  readonly stages: Stages;
  readonly run: RunCommand;
  /** Which processor's packages the host's apt would take by itself. */
  readonly hostArchitecture: string;
}

export class Apt {
  readonly #options: AptOptions;
  #ownLists = false;

  constructor(options: AptOptions) {
    this.#options = options;
    for (const name of ["archives/partial", "lists/partial"]) {
      makeFolder(join(options.folder, name));
    }
  }

  async require(): Promise<void> {
    const result = await this.#call("apt-get", ["--version"]);
    if (result.status !== 0) {
      throw new NoPackagesError("this host has no apt-get");
    }
  }

  /** The `Depends` of a package's newest version; undefined if apt does not know the package. */
  async dependencies(name: string): Promise<readonly string[] | undefined> {
    const result = await this.#call("apt-cache", ["show", "--no-all-versions", name]);
    const line = /^Depends:\s*(.*)$/m.exec(result.output)?.[1];
    if (result.status !== 0 || !/^Package:/m.test(result.output)) {
      return undefined;
    }
    return (line ?? "").split(/[,|]/).map((item) => item.trim().replace(/[\s(:].*$/, ""))
      .filter((item) => item !== "");
  }

  /** Reads the package lists anew, into our folder, where that needs no rights. */
  async update(): Promise<void> {
    this.#ownLists = true;
    this.#options.stages.say("reading Debian's package lists (apt-get update)");
    const result = await this.#call("apt-get", ["-q", "-o", everyFailure, "update"]);
    if (result.status !== 0) {
      throw new NoPackagesError(`apt-get update failed: ${lastError(result)}`);
    }
  }

  get hasOwnLists(): boolean {
    return this.#ownLists;
  }

  /** The files that hold the packages now, in the order of `names`; undefined if one is unknown. */
  async files(names: readonly string[]): Promise<readonly PackageFile[] | undefined> {
    const result = await this.#call("apt-get", ["-q", "--print-uris", "download", ...names]);
    const files = result.output.split("\n").flatMap(parseUri);
    const ordered = names.map((name) => files.find((file) => file.fileName.startsWith(`${name}_`)));
    return result.status === 0 && ordered.every((file) => file !== undefined) ? ordered : undefined;
  }

  /** Downloads into `folder`; throws if a file is not what the lists promised. */
  async download(names: readonly string[], files: readonly PackageFile[], folder: string) {
    const total = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    this.#options.stages.say(
      `downloading ${names.join(" and ")} (${(total / 1e6).toFixed(1)} MB)`);
    const timer = setInterval(() => {
      const sizes = listFolder(folder).map((name) => fileSize(join(folder, name)) ?? 0);
      this.#options.stages.progress(sizes.reduce((sum, size) => sum + size, 0) / total);
    }, progressIntervalMs);
    const result = await this.#call("apt-get", ["-q", "download", ...names], folder);
    clearInterval(timer);
    if (result.status !== 0) {
      throw new NoPackagesError(`apt-get download failed: ${lastError(result)}`);
    }
    for (const file of files) {
      verify(file, readWholeFile(join(folder, file.fileName)));
    }
  }

  #call(program: string, words: readonly string[], folder = this.#options.folder) {
    const own = this.#options.folder;
    const settings = [
      `Dir::Cache=${own}`, "Dir::Cache::archives=archives/",
      // Another user (_apt) could not write to this user's folder.
      "APT::Sandbox::User=",
      ...(this.#ownLists ? [`Dir::State::lists=${join(own, "lists")}/`] : []),
      ...(this.#options.hostArchitecture === "x64"
        ? [] : ["APT::Architecture=amd64", "APT::Architectures=amd64"]),
    ];
    const options = settings.flatMap((item) => ["-o", item]);
    return this.#options.run(program, [...options, ...words], folder);
  }
}

/** A line of `--print-uris`: `'URI' FILE SIZE DIGEST:VALUE`. */
function parseUri(line: string): readonly PackageFile[] {
  const [, fileName, size, digest, digestValue] =
    /^'[^']*' ([^ /]+) (\d+) (\w+):([0-9a-f]+)$/.exec(line.trim()) ?? [];
  return fileName === undefined || digest === undefined || digestValue === undefined
    ? []
    : [{ fileName, sizeBytes: Number(size), digest, digestValue }];
}

function verify(file: PackageFile, content: Uint8Array): void {
  if (content.length !== file.sizeBytes) {
    throw new NoPackagesError(
      `${file.fileName} has ${content.length} bytes, apt promised ${file.sizeBytes}`);
  }
  const { fileName, digest } = file;
  const algorithm = digests.get(digest);
  if (algorithm === undefined) {
    throw new NoPackagesError(`apt knows ${fileName} by a digest ${digest}, which we do not`);
  }
  if (createHash(algorithm).update(content).digest("hex") !== file.digestValue) {
    throw new NoPackagesError(`${fileName} does not have the ${digest} that apt promised`);
  }
}

function lastError(result: CommandResult): string {
  const lines = result.errors.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  return lines.findLast((line) => line.startsWith("E:")) ?? lines.at(-1)
    ?? (result.status === undefined ? "it was killed" : `status ${result.status}`);
}
