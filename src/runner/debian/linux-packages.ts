/**
 * What a Linux guest is made of, out of Debian's packages: the kernel, its virtio modules and
 * busybox. Unpacked once and kept in the user's cache folder under the name of the package file,
 * which has the version in it.
 */
import { basename, join } from "node:path";
import { readWholeFile } from "../../host/files.ts";
import {
  fileSize, listFolder, moveInto, removeTree, temporaryFolder, writeWholeFile,
} from "../../host/folders.ts";
import type { Stages } from "../stages.ts";
import { Apt, NoPackagesError } from "./apt.ts";
import { runCommand, type RunCommand } from "./command.ts";
import { loadOrder, moduleNameOf, type KernelModule } from "./kernel-module.ts";
import { unpackPackage } from "./package.ts";
import type { TarEntry } from "./tar.ts";

const kernelMetaPackage = "linux-image-cloud-amd64";
const busyboxPackage = "busybox-static";
/** Read before all others that are not built into the kernel; the disk comes first. */
const wantedModules = ["virtio_pci", "virtio_blk", "virtio_rng"];
/** Where the modules that these need can be; the package has a thousand others. */
const moduleFolders = /\/kernel\/drivers\/(virtio|block|char\/hw_random)\/[^/]+\.ko$/;
/** Written last, so that a folder with it is whole. Its number rises with what we unpack. */
const doneName = "complete.1";
const orderName = "module-order";

export interface LinuxParts {
  readonly kernelPath: string;
  readonly kernelPackage: string;
  readonly busybox: Uint8Array;
  readonly modules: readonly KernelModule[];
}

export interface FetchOptions {
  readonly cache: string;
  readonly stages: Stages;
  /** How apt is called; a test replaces it. */
  readonly run?: RunCommand;
  /** This host's, unless a test says otherwise. */
  readonly hostArchitecture?: string;
  /** Ask apt for newer packages even if some are unpacked. */
  readonly update?: boolean;
}

/** The parts, fetched if need be. Throws NoPackagesError where the host cannot provide them. */
export async function fetchLinux(options: FetchOptions): Promise<LinuxParts> {
  const unpacked = join(options.cache, "debian");
  const present = findUnpacked(unpacked);
  if (present !== undefined && options.update !== true) {
    return readParts(unpacked, ...present);
  }
  try {
    const fetched = await fetchNewest(options, unpacked);
    for (const name of listFolder(unpacked)) {
      if (!fetched.includes(name)) {
        removeTree(join(unpacked, name)); // An older version, or one that was never finished.
      }
    }
    return readParts(unpacked, ...fetched);
  } catch (error) {
    if (!(error instanceof NoPackagesError) || present === undefined) {
      throw error;
    }
    options.stages.say(`no newer packages: ${error.message}; going on with ${present.join(", ")}`);
    return readParts(unpacked, ...present);
  }
}

/** Names of the folders with the kernel and with busybox. */
type Unpacked = readonly [kernel: string, busybox: string];

function findUnpacked(unpacked: string): Unpacked | undefined {
  const names = listFolder(unpacked).filter((name) => isComplete(join(unpacked, name)));
  const kernel = names.findLast((name) => name.startsWith("linux-image-"));
  const busybox = names.findLast((name) => name.startsWith(`${busyboxPackage}_`));
  return kernel === undefined || busybox === undefined ? undefined : [kernel, busybox];
}

async function fetchNewest(options: FetchOptions, unpacked: string): Promise<Unpacked> {
  const apt = new Apt({
    folder: join(options.cache, "apt"), stages: options.stages,
    run: options.run ?? runCommand,
    hostArchitecture: options.hostArchitecture ?? process.arch,
  });
  options.stages.say(`asking apt for ${kernelMetaPackage} and ${busyboxPackage}`);
  await apt.require();
  if (options.update === true) {
    await apt.update();
  }
  return fetchWithFreshLists(apt, options, unpacked);
}

/** Lists may be missing, or so old that the server has the files no more: then read them anew. */
async function fetchWithFreshLists(
  apt: Apt, options: FetchOptions, unpacked: string,
): Promise<Unpacked> {
  try {
    return await fetchPackages(apt, options, unpacked);
  } catch (error) {
    if (!(error instanceof NoPackagesError) || apt.hasOwnLists) {
      throw error;
    }
    try {
      await apt.update();
      return await fetchPackages(apt, options, unpacked);
    } catch (again) {
      throw again instanceof NoPackagesError && again.message !== error.message
        ? new NoPackagesError(`${error.message}; ${again.message}`) : again;
    }
  }
}

async function fetchPackages(
  apt: Apt, options: FetchOptions, unpacked: string,
): Promise<Unpacked> {
  const dependencies = await apt.dependencies(kernelMetaPackage);
  const kernelPackage = dependencies?.find((name) => name.startsWith("linux-image-"));
  if (kernelPackage === undefined) {
    throw new NoPackagesError(`this host's apt knows no package ${kernelMetaPackage}`);
  }
  const names = [kernelPackage, busyboxPackage];
  const [kernelFile, busyboxFile] = await apt.files(names) ?? [];
  if (kernelFile === undefined || busyboxFile === undefined) {
    throw new NoPackagesError(`this host's apt has no file for ${names.join(" or ")}`);
  }
  const [kernel, busybox] = [kernelFile, busyboxFile].map((file) =>
    file.fileName.replace(/\.deb$/, ""));
  if (kernel === undefined || busybox === undefined) {
    throw new NoPackagesError("apt named a package file without a name");
  }
  if (!isComplete(join(unpacked, kernel)) || !isComplete(join(unpacked, busybox))) {
    const folder = temporaryFolder(options.cache, "download-");
    try {
      await apt.download(names, [kernelFile, busyboxFile], folder.path);
      for (const [name, file, unpack] of [
        [kernel, kernelFile, unpackKernel], [busybox, busyboxFile, unpackBusybox],
      ] as const) {
        await unpackInto(join(unpacked, name), join(folder.path, file.fileName), unpack, options);
      }
    } finally {
      folder.remove();
    }
  }
  return [kernel, busybox];
}

type Unpack = (
  archive: Uint8Array, folder: string, stages: Stages,
) => Promise<void>;

async function unpackInto(
  target: string, archive: string, unpack: Unpack, options: FetchOptions,
): Promise<void> {
  options.stages.say(`unpacking ${basename(archive)}`);
  const draft = temporaryFolder(options.cache, "unpack-");
  try {
    await unpack(readWholeFile(archive), draft.path, options.stages);
    writeWholeFile(join(draft.path, doneName), "");
    if (!isComplete(target)) { // Another process may have been faster.
      moveInto(draft.path, target);
    }
  } finally {
    draft.remove();
  }
}

const unpackKernel: Unpack = async (archive, folder, stages) => {
  const modules = new Map<string, KernelModule>();
  let kernelSeen = false;
  const isKernel = (path: string) => path.startsWith("boot/vmlinuz-");
  const wanted = (entry: TarEntry) => entry.kind === "file"
    && (isKernel(entry.path) || moduleFolders.test(entry.path));
  const onProgress = (fraction: number) => stages.progress(fraction);
  for await (const file of unpackPackage(archive, { wanted, onProgress })) {
    if (isKernel(file.path)) {
      writeWholeFile(join(folder, "vmlinuz"), file.content);
      kernelSeen = true;
    } else {
      const fileName = file.path.replace(/^.*\//, "");
      const name = moduleNameOf(file.path);
      modules.set(name, { name, fileName, content: file.content });
    }
  }
  if (!kernelSeen) {
    throw new NoPackagesError("the kernel package has no boot/vmlinuz");
  }
  const order = loadOrder(wantedModules, modules);
  for (const module of order) {
    writeWholeFile(join(folder, "modules", module.fileName), module.content);
  }
  writeWholeFile(join(folder, orderName), order.map((module) => `${module.fileName}\n`).join(""));
};

const unpackBusybox: Unpack = async (archive, folder, stages) => {
  const wanted = (entry: TarEntry) =>
    entry.kind === "file" && /^(usr\/)?bin\/busybox$/.test(entry.path);
  const onProgress = (fraction: number) => stages.progress(fraction);
  for await (const file of unpackPackage(archive, { wanted, onProgress })) {
    writeWholeFile(join(folder, "busybox"), file.content);
  }
  if (fileSize(join(folder, "busybox")) === undefined) {
    throw new NoPackagesError("the busybox package has no bin/busybox");
  }
};

function isComplete(folder: string): boolean {
  return fileSize(join(folder, doneName)) !== undefined;
}

function readParts(unpacked: string, kernel: string, busybox: string): LinuxParts {
  const folder = join(unpacked, kernel);
  const order = Buffer.from(readWholeFile(join(folder, orderName))).toString("utf8");
  return {
    kernelPath: join(folder, "vmlinuz"),
    kernelPackage: kernel,
    busybox: readWholeFile(join(unpacked, busybox, "busybox")),
    modules: order.split("\n").filter((line) => line !== "").map((fileName) => ({
      name: moduleNameOf(fileName),
      fileName,
      content: readWholeFile(join(folder, "modules", fileName)),
    })),
  };
}
