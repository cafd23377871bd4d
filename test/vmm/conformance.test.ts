/** Every back end that this host can run, through one suite. */
import { hypervisors } from "../../src/vmm/backends.ts";
import { conformance } from "../support/conformance.ts";
import { skipTest, test } from "../support/harness.ts";

for (const hypervisor of hypervisors) {
  const probe = hypervisor.probe();
  if (probe.usable) {
    conformance(hypervisor, test);
  } else {
    skipTest(`${hypervisor.name}: the conformance suite`, probe.reason);
  }
}
