/** The back end that a configuration asks for, or that `auto` finds. */
import { ConfigError } from "../base/errors.ts";
import type { Configuration } from "../config/configuration.ts";
import { chooseHypervisor } from "../vmm/backends.ts";
import type { Hypervisor } from "../vmm/hypervisor.ts";

/** Throws ConfigError where the back end that was asked for cannot run guests here. */
export function hypervisorFor({ globals: { backend } }: Configuration): Hypervisor {
  const choice = chooseHypervisor(backend);
  if (choice.hypervisor === undefined) {
    throw new ConfigError({
      key: "vmm.backend", value: backend,
      message: `cannot run guests here (${choice.reason}); allowed: auto, soft`,
    });
  }
  return choice.hypervisor;
}
