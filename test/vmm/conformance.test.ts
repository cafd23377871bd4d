/** Every back end that this host can run, through one suite. */
import { hypervisors } from "../../src/vmm/backends.ts";
import { conformance } from "../support/conformance.ts";
import { skipTest, test } from "../support/harness.ts";

for (const hypervisor of hypervisors) {
  const probe = hypervisor.probe();
  conformance(hypervisor, probe.usable ? test
    : (name) => skipTest(name, probe.reason));
}
