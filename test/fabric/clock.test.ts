import { ManualClock, TimerQueue } from "../../src/fabric/clock.ts";
import { assert, test } from "../support/harness.ts";

test("timers fire in the order of their deadlines, each at its own moment", () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  const timer = (name: string) => clock.timer(() => fired.push(`${name}@${clock.nowNs()}`));
  timer("late").arm(30);
  timer("early").arm(10);
  timer("never").arm(31);
  clock.advance(30);
  assert.deepEqual(fired, ["early@10", "late@30"]);
});

test("arming again replaces the deadline, disarming forgets it", () => {
  const clock = new ManualClock();
  let fired = 0;
  const timer = clock.timer(() => { fired += 1; });
  timer.arm(10);
  timer.arm(20);
  clock.advance(15);
  assert.equal(fired, 0);
  timer.disarm();
  clock.advance(100);
  assert.equal(fired, 0);
  assert.equal(timer.armed, false);
});

test("a timer may re-arm itself and disarm another one that is due", () => {
  const clock = new ManualClock();
  const fired: number[] = [];
  const other = clock.timer(() => fired.push(-1));
  const timer = clock.timer(() => {
    fired.push(clock.nowNs());
    other.disarm();
    timer.arm(clock.nowNs() + 10);
  });
  timer.arm(10);
  other.arm(10);
  clock.advance(35);
  assert.deepEqual(fired, [10, 20, 30]);
});

test("a timer that re-arms itself in the past fires once a round", () => {
  const queue = new TimerQueue();
  let fired = 0;
  const timer = queue.create(() => {
    fired += 1;
    timer.arm(0);
  });
  timer.arm(0);
  queue.runDue(100);
  assert.equal(fired, 1);
  assert.equal(queue.nextDeadlineNs(), 0);
});
