/** How other threads end the sleep of a vCPU inside a kernel. */
import type { NativeAddon } from "../host/native.ts";

/** Plain data, so that it can be sent to another thread. */
export type Kick =
  /** A signal to the thread that runs the vCPU. */
  | { readonly kind: "signal"; readonly slot: number }
  /** An ioctl with these words for its argument. */
  | { readonly kind: "ioctl"; readonly fd: number; readonly request: number;
      readonly words: readonly number[] };

/** From any thread; a kick that comes too late or in vain does no harm. */
export function kickVcpu(addon: NativeAddon, kick: Kick): void {
  if (kick.kind === "signal") {
    addon.kick(kick.slot);
    return;
  }
  try {
    addon.ioctl(kick.fd, kick.request, Int32Array.from(kick.words));
  } catch (error) {
    if (!(error instanceof RangeError)) {
      throw error;
    }
    // The VM is gone, and its descriptor with it.
  }
}
