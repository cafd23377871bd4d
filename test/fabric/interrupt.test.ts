import { shareLine } from "../../src/fabric/interrupt.ts";
import { RecordedLine } from "../../src/devices/testing/fake-guest.ts";
import { assert, test } from "../support/harness.ts";

test("a shared line is high while any source is, and repeating a level counts once", () => {
  const line = new RecordedLine();
  const source = shareLine(line);
  const one = source();
  const other = source();
  one.set(true);
  one.set(true);
  other.set(true);
  one.set(false);
  assert.equal(line.level, true);
  one.set(false);
  other.set(false);
  assert.equal(line.level, false);
  assert.equal(line.rises, 1);
});
