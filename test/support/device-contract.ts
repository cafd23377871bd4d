/** Registers the checks of `src/devices/testing/contract.ts` as tests of this file. */
import { contractChecks, type ContractDescription } from "../../src/devices/testing/contract.ts";
import { seed, test } from "./harness.ts";

/** `npm run test:hostile` sets it: operations of a hostile driver in each of twelve runs. */
const steps = process.env["STEPS"];

export function deviceContract(description: ContractDescription): void {
  const wanted = steps === undefined ? description : { ...description, steps: Number(steps) };
  for (const check of contractChecks(wanted, seed)) {
    test(check.name, () => check.run());
  }
}
