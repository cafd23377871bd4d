import { secondNs } from "../../src/base/units.ts";
import { ManualClock } from "../../src/fabric/clock.ts";
import { Ticks } from "../../src/fabric/ticks.ts";
import { assert, randomSource, seed, test } from "../support/harness.ts";

test("whole seconds have whole numbers of ticks, even after years", () => {
  const clock = new ManualClock();
  const ticks = new Ticks(clock, 3_579_545);
  const seconds = 50_000_000;
  clock.advance(seconds * secondNs);
  assert.equal(ticks.now(), seconds * 3_579_545);
});

test(`a deadline is the first nanosecond of its tick (seed ${seed})`, () => {
  const random = randomSource();
  for (const hz of [32_768, 1_193_182, 3_579_545]) {
    for (let round = 0; round < 200; round += 1) {
      const tick = random() % (hz * 1000);
      const clock = new ManualClock();
      const ticks = new Ticks(clock, hz);
      const deadline = ticks.deadlineNs(tick);
      clock.advance(Math.max(0, deadline - 1));
      assert.ok(ticks.now() < tick || deadline === 0, `tick ${tick} at ${hz} Hz comes too early`);
      clock.advance(1);
      assert.ok(ticks.now() >= tick, `tick ${tick} at ${hz} Hz comes too late`);
    }
  }
});
