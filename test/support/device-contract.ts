/** Registers the checks of `src/devices/testing/contract.ts` as tests of this file. */
import { contractChecks, type ContractDescription } from "../../src/devices/testing/contract.ts";
import { seed, test } from "./harness.ts";

export function deviceContract(description: ContractDescription): void {
  for (const check of contractChecks(description, seed)) {
    test(check.name, () => check.run());
  }
}
