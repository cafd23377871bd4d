/** What the two threads of a machine say to each other. */
import type { CharChannelParts } from "../backends/char/channel.ts";
import type { Problem } from "../base/errors.ts";
import type { LogLevel } from "../base/log.ts";
import type { Kick } from "../vmm/kick.ts";
import type { MachinePlan } from "./plan.ts";

/** Handed to the machine's thread at its start. */
export interface WorkerStart {
  readonly plan: MachinePlan;
  /** Name of the back end; its probe has run. */
  readonly hypervisor: string;
  /** Byte channels by the full key of their path: `lpc.com1.path`, `pci.0.4.0.port.0.path`. */
  readonly chars: ReadonlyMap<string, CharChannelParts>;
  readonly wake: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
}

export type FromWorker =
  | { readonly kind: "log"; readonly level: LogLevel; readonly message: string }
  /** Built and loaded; it waits for the word to go. A vCPU that sleeps in the kernel is woken by
   * kicks. */
  | { readonly kind: "ready"; readonly kick?: Kick }
  /** It cannot be built from this plan. */
  | { readonly kind: "refused"; readonly problems: readonly Problem[]; readonly status: number }
  | { readonly kind: "ended"; readonly status: number; readonly report?: string };

export type ToWorker = { readonly kind: "go" };
