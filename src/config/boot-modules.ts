/** The key `boot.modules`: files for multiboot and PVH kernels, `"file arguments; file …"`. */

export interface ModuleFile {
  readonly path: string;
  /** The whole item: file and arguments, which is what the kernel is told. */
  readonly commandLine: string;
}

/** The files that a value of `boot.modules` names, in order. */
export function moduleFiles(value: string): readonly ModuleFile[] {
  return value.split(";").map((item) => item.trim()).filter((item) => item !== "")
    .map((item) => ({ path: item.split(/\s/, 1)[0] ?? item, commandLine: item }));
}
