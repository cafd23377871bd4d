/** The other thread of byte-ring.test.ts: sends back everything it gets, in pieces of any size. */
import { workerData } from "node:worker_threads";
import { SharedByteRing } from "../../src/fabric/byte-ring.ts";
import type { SharedRingParts } from "../../src/fabric/byte-ring.ts";
import { randomSource } from "../support/random.ts";

interface Orders {
  readonly from: SharedRingParts;
  readonly to: SharedRingParts;
  readonly seed: number;
}

const orders: Orders = workerData;
const from = SharedByteRing.from(orders.from);
const to = SharedByteRing.from(orders.to);
const random = randomSource(orders.seed);
const piece = new Uint8Array(700);

function waitForData(): boolean {
  for (;;) {
    const seen = from.dataWake.count();
    const closed = from.closed;
    if (from.available() > 0) return true;
    if (closed) return false;
    from.dataWake.wait(seen);
  }
}

function send(bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) {
    const seen = to.spaceWake.count();
    const count = random() % 3 === 0
      ? Number(to.put(bytes[done] ?? 0))
      : to.write(bytes.subarray(done));
    done += count;
    if (count === 0) to.spaceWake.wait(seen);
  }
}

while (waitForData()) {
  if (random() % 4 === 0) {
    piece[0] = from.get();
    send(piece.subarray(0, 1));
  } else {
    const count = from.read(piece.subarray(0, 1 + random() % piece.length));
    send(piece.subarray(0, count));
  }
}
to.close();
