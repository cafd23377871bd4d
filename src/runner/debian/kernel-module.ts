/** Which kernel modules need which: read from their own `.modinfo`, as depmod(8) does. */

export interface KernelModule {
  /** As other modules call it: `virtio_rng` for virtio-rng.ko. */
  readonly name: string;
  readonly fileName: string;
  readonly content: Uint8Array;
}

export function moduleNameOf(path: string): string {
  return path.replace(/^.*\//, "").replace(/\.ko$/, "").replaceAll("-", "_");
}

/** The modules that one names in its `.modinfo`: strings `key=value`, each ended by a NUL. */
export function dependenciesOf(module: KernelModule): readonly string[] {
  const text = Buffer.from(module.content).toString("latin1");
  const names = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
  return names.split(",").filter((name) => name !== "").map(moduleNameOf);
}

/** `roots` and all they need, each after what it needs. Throws on what is nowhere. */
export function loadOrder(
  roots: readonly string[], available: ReadonlyMap<string, KernelModule>,
): readonly KernelModule[] {
  const order = new Set<KernelModule>();
  const onPath = new Set<string>();
  const visit = (name: string, neededBy: string) => {
    const module = available.get(name);
    if (module === undefined) {
      throw new Error(`the kernel package has no module ${name}, which ${neededBy} needs`);
    }
    if (order.has(module) || onPath.has(name)) {
      return; // A ring of modules could never be loaded by anyone; insmod will tell.
    }
    onPath.add(name);
    for (const dependency of dependenciesOf(module)) {
      visit(dependency, name);
    }
    order.add(module);
  };
  for (const root of roots) {
    visit(root, "the guest");
  }
  return [...order];
}
