/** Debian's kernel with an initrd of ours: the guest that `npm start` boots where apt is. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readWholeFile } from "../host/files.ts";
import { writeWholeFile } from "../host/folders.ts";
import { fetchLinux, type FetchOptions } from "./debian/linux-packages.ts";
import { buildInitrd } from "./initrd.ts";

export interface LinuxGuest {
  readonly kernelPath: string;
  readonly initrdPath: string;
}

/** The checkout this file was compiled in. */
export const projectFolder = fileURLToPath(new URL("../../../", import.meta.url));

/** Fetches what is missing and writes the initrd. Throws NoPackagesError if that cannot be. */
export async function prepareLinux(options: FetchOptions): Promise<LinuxGuest> {
  const parts = await fetchLinux(options);
  const script = (name: string) => readWholeFile(join(projectFolder, "guests", "linux", name));
  const initrd = buildInitrd({
    busybox: parts.busybox,
    modules: parts.modules,
    scripts: new Map([
      ["init", script("init.sh")],
      ["session.sh", script("session.sh")],
      ["check.sh", script("check.sh")],
    ]),
  });
  const initrdPath = join(options.cache, "initrd.cpio");
  writeWholeFile(initrdPath, initrd);
  return { kernelPath: parts.kernelPath, initrdPath };
}
