/** The options of a device as its own schema reads them, for tests that give few or none. */
import { assert } from "../../base/assert.ts";
import { nodeOf, parse, type OptionsOf, type Schema } from "../../config/options.ts";

export function optionsFrom<S extends Schema>(
  description: { readonly options: S }, values: Readonly<Record<string, string>>,
): OptionsOf<S> {
  const parsed = parse(description.options, nodeOf(values));
  assert(parsed.ok, "a test's options are right");
  return parsed.value;
}
