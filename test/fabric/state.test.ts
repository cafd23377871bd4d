import { assignState, copyState, describeState } from "../../src/fabric/state.ts";
import { assert, test } from "../support/harness.ts";

const sample = () => ({
  number: 1, text: "a", big: 2n ** 60n, never: Infinity, flag: true,
  bytes: Uint8Array.of(1, 2, 3), words: Uint32Array.of(7),
  queue: [1, 2, 3], inner: { level: [true, false], deep: { x: 1 } },
  list: [{ n: 1 }, { n: 2 }],
});

test("a copy is equal and independent", () => {
  const state = sample();
  const copy = copyState(state);
  assert.deepEqual(copy, state);
  copy.inner.deep.x = 9;
  copy.bytes[0] = 9;
  assert.deepEqual(state, sample());
});

test("assigning makes equal and keeps the identity of what a device holds on to", () => {
  const state = sample();
  const { inner, bytes, list } = state;
  const first = list[0];
  const source = {
    ...sample(), number: 5, queue: [4], bytes: Uint8Array.of(9, 9, 9),
    inner: { level: [false, true], deep: { x: 3 } }, list: [{ n: 7 }, { n: 8 }],
  };
  assignState(state, source);
  assert.deepEqual(state, source);
  assert.equal(state.inner, inner);
  assert.equal(state.bytes, bytes);
  assert.equal(state.list[0], first);
  source.inner.deep.x = 99;
  source.queue.push(1);
  assert.equal(state.inner.deep.x, 3);
  assert.deepEqual(state.queue, [4]);
});

test("a queue may grow and shrink", () => {
  const state: { queue: number[] } = { queue: [1] };
  assignState(state, { queue: [1, 2, 3] });
  assert.deepEqual(state.queue, [1, 2, 3]);
  assignState(state, { queue: [] });
  assert.deepEqual(state.queue, []);
});

test("the description tells states apart, also by bytes, bigints and infinities", () => {
  const text = describeState(sample());
  assert.equal(describeState(copyState(sample())), text);
  for (const change of [
    { never: 0 }, { big: 1n }, { bytes: Uint8Array.of(1, 2, 4) }, { queue: [1, 2] },
    { flag: false },
  ]) {
    assert.notEqual(describeState({ ...sample(), ...change }), text);
  }
});
