/** The native addon for tests: tests that need it skip, and say so, where it is not built. */
import { nativeState, type NativeAddon } from "../../src/host/native.ts";
import { skipTest, test } from "./harness.ts";

/** A test of the addon. */
export function nativeTest(
  name: string, body: (addon: NativeAddon) => void | Promise<void>,
): void {
  const state = nativeState();
  if (state.addon === undefined) {
    skipTest(name, state.reason);
    return;
  }
  const { addon } = state;
  test(name, () => body(addon));
}
