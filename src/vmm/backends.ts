/** Which hypervisor runs a machine: the one that was asked for, or the first that can. */
import type { Hypervisor, Probe } from "./hypervisor.ts";
import { vmmHypervisor } from "./freebsd/hypervisor.ts";
import { kvmHypervisor } from "./kvm/hypervisor.ts";
import { softHypervisor } from "./software/hypervisor.ts";

/** In the order in which `auto` tries them; the last needs nothing of the host. */
export const hypervisors: readonly Hypervisor[] = [vmmHypervisor, kvmHypervisor, softHypervisor];

export interface Refusal {
  readonly name: string;
  readonly reason: string;
}

export type Choice =
  | { readonly hypervisor: Hypervisor; readonly passedOver: readonly Refusal[] }
  | { readonly hypervisor?: undefined; readonly reason: string };

/** A hypervisor by its name. */
export function hypervisorNamed(name: string): Hypervisor | undefined {
  return hypervisors.find((each) => each.name === name);
}

function refusal(probe: Probe, wanted: string): string | undefined {
  return !probe.usable ? probe.reason : wanted === "auto" ? probe.slow : undefined;
}

/** `wanted` is the value of `vmm.backend`. What is chosen has run its probe. */
export function chooseHypervisor(wanted: string): Choice {
  const passedOver: Refusal[] = [];
  for (const hypervisor of hypervisors) {
    if (wanted !== "auto" && wanted !== hypervisor.name) {
      continue;
    }
    const reason = refusal(hypervisor.probe(), wanted);
    if (reason === undefined) {
      return { hypervisor, passedOver };
    }
    passedOver.push({ name: hypervisor.name, reason });
  }
  return {
    reason: passedOver.map(({ name, reason }) => `${name}: ${reason}`).join("; ")
      || "this version has no such back end",
  };
}
