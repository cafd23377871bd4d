/** Everything that the keys of a disk say about its back end: plain data, for any thread. */
import type { FaultPlan } from "./faults.ts";

export const backendNames = [
  "auto", "raw", "qcow2", "vmdk", "vhd", "vhdx", "nbd", "ram", "module",
] as const;
export type BackendName = (typeof backendNames)[number];

export interface BlockSpec {
  /** Full key of the disk's node, for messages: `pci.0.3.0`. */
  readonly key: string;
  readonly path: string;
  readonly backend: BackendName;
  readonly readOnly: boolean;
  readonly nocache: boolean;
  /** Every write is stable before it completes. */
  readonly sync: boolean;
  /** The text of the `sectorsize` key. */
  readonly sectorSize?: string;
  /** File that takes the writes; `ram` keeps them in memory. */
  readonly overlay?: string;
  readonly faults?: FaultPlan;
  readonly delayMs: number;
  /** Requests and bytes a second; 0 for no limit. */
  readonly iops: number;
  readonly bandwidth: number;
  /** What a failure of the host means: an I/O error for the guest, or a wait. */
  readonly onError: "report" | "stop";
  /** Asks for a thread of its own. */
  readonly thread: boolean;
}

const suffixes: readonly (readonly [string, BackendName])[] = [
  [".qcow2", "qcow2"], [".vmdk", "vmdk"], [".vhd", "vhd"], [".vhdx", "vhdx"],
];

/** What `auto` means for a path. The content does not decide: a guest that owns a raw disk could
 * write the header of a format into it, and name any file of the host there. */
export function chosenBackend({ backend, path }: Pick<BlockSpec, "backend" | "path">): BackendName {
  if (backend !== "auto") {
    return backend;
  }
  if (/^nbd(\+unix)?:\/\//.test(path)) {
    return "nbd";
  }
  if (path.startsWith("ram:")) {
    return "ram";
  }
  return suffixes.find(([suffix]) => path.toLowerCase().endsWith(suffix))?.[1] ?? "raw";
}

/** Whether each call of the back end is over when it returns. */
export function isSync(spec: BlockSpec): boolean {
  const backend = chosenBackend(spec);
  return backend !== "nbd" && backend !== "module";
}

/** Whether requests may take longer than one call, so that the guest should go on meanwhile. */
export function needsThread(spec: BlockSpec): boolean {
  return spec.thread || spec.delayMs > 0 || spec.iops > 0 || spec.bandwidth > 0
    || spec.onError === "stop" || !isSync(spec);
}
