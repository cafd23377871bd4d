/** The command line of tsbhyve for a guest: the words, and the one line a person can paste. */

export interface GuestMachine {
  readonly kernelPath: string;
  readonly initrdPath?: string;
  readonly kernelLine?: string;
  readonly diskPath: string;
  readonly memory: string;
}

/** In the order and at the slots that people use with bhyve. */
export function machineWords(machine: GuestMachine): readonly string[] {
  const settings: readonly (readonly [string, string | undefined])[] = [
    ["memory.size", machine.memory],
    ["x86.vmexit_on_hlt", "true"],
    ["boot.kernel", machine.kernelPath],
    ["boot.initrd", machine.initrdPath],
    ["boot.cmdline", machine.kernelLine],
    ["pci.0.0.0.device", "hostbridge"],
    ["pci.0.3.0.device", "virtio-blk"],
    ["pci.0.3.0.path", machine.diskPath],
    ["pci.0.4.0.device", "virtio-rnd"],
    ["pci.0.31.0.device", "lpc"],
    ["lpc.com1.path", "stdio"],
  ];
  const words = settings.flatMap(([key, value]) =>
    value === undefined ? [] : ["-o", `${key}=${literalValue(value)}`]);
  return [...words, "quick-start"];
}

/** A value that the configuration reads as it stands here, not as references to other keys. */
function literalValue(value: string): string {
  return value.includes("%") ? value.replace(/[\\%]/g, "\\$&") : value;
}

/** For a POSIX shell: quoted only where a word needs it. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}
