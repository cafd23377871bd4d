/** A PS/2 mouse with three buttons (IBM PS/2 hardware reference, "mouse"): answers commands, sends
 * movements of the host side. */
import { ByteQueue } from "./queue.ts";

/** Five movement packets and a reply. */
const queueMax = 24;

const reply = { ack: 0xfa, error: 0xfc, passed: 0xaa, identity: 0x00 } as const;
const command = {
  scaling1: 0xe6, scaling2: 0xe7, setResolution: 0xe8, status: 0xe9, streamMode: 0xea,
  readData: 0xeb, leaveWrap: 0xec, wrapMode: 0xee, remoteMode: 0xf0, identify: 0xf2,
  setRate: 0xf3, enable: 0xf4, disable: 0xf5, defaults: 0xf6, reset: 0xff,
} as const;

export function newMouse() {
  const queue: number[] = [];
  return {
    queue,
    expects: -1,
    reporting: false, remote: false, wraps: false, scaling2: false,
    resolution: 2, rate: 100,
    /** Movement not sent yet, and the buttons held. */
    x: 0, y: 0, buttons: 0,
  };
}

export type MouseState = ReturnType<typeof newMouse>;

type Action = (state: MouseState, queue: ByteQueue) => void;

const defaults: Action = (state) => {
  Object.assign(state, {
    reporting: false, remote: false, wraps: false, scaling2: false, resolution: 2, rate: 100,
  });
};

/** One packet (three bytes) of what has moved; more stays for the next. */
function sendPacket(state: MouseState, queue: ByteQueue): void {
  const part = (value: number) => Math.max(-255, Math.min(255, value));
  const x = part(state.x);
  const y = part(state.y);
  const signs = (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0);
  if (queue.room >= 3) {
    queue.put(0x08 | state.buttons | signs, x & 0xff, y & 0xff);
    state.x -= x;
    state.y -= y;
  }
}

function sendStatus(state: MouseState, queue: ByteQueue): void {
  const flags = (state.remote ? 0x40 : 0) | (state.reporting ? 0x20 : 0)
    | (state.scaling2 ? 0x10 : 0);
  queue.put(flags | state.buttons, state.resolution, state.rate);
}

const actions = new Map<number, Action>([
  [command.scaling1, (state) => { state.scaling2 = false; }],
  [command.scaling2, (state) => { state.scaling2 = true; }],
  [command.status, sendStatus],
  [command.streamMode, (state) => { state.remote = false; }],
  [command.readData, sendPacket],
  [command.leaveWrap, (state) => { state.wraps = false; }],
  [command.wrapMode, (state) => { state.wraps = true; }],
  [command.remoteMode, (state) => { state.remote = true; }],
  [command.identify, (_state, queue) => queue.put(reply.identity)],
  [command.enable, (state) => { state.reporting = true; }],
  [command.disable, (state) => { state.reporting = false; }],
  [command.defaults, defaults],
  [command.reset, (state, queue) => {
    defaults(state, queue);
    queue.put(reply.passed, reply.identity);
  }],
]);

const argumentActions = new Map<number, (state: MouseState, value: number) => void>([
  [command.setResolution, (state, value) => { state.resolution = value & 3; }],
  [command.setRate, (state, value) => { state.rate = value; }],
]);

export class Mouse {
  readonly state: MouseState;
  readonly #queue: ByteQueue;

  constructor(state: MouseState) {
    this.state = state;
    this.#queue = new ByteQueue(() => state.queue, queueMax);
  }

  take(): number {
    return this.#queue.take();
  }

  /** Movement (y upwards) and buttons (bit 0 left, 1 right, 2 middle) from the host side. */
  move(x: number, y: number, buttons: number): void {
    const s = this.state;
    s.x += x;
    s.y += y;
    s.buttons = buttons & 7;
    if (s.reporting && !s.remote) {
      sendPacket(s, this.#queue);
    }
  }

  command(value: number): void {
    const s = this.state;
    const leavesWrap = value === command.leaveWrap || value === command.reset;
    const pending = argumentActions.get(s.expects);
    s.expects = -1;
    if (s.wraps && !leavesWrap) {
      this.#queue.put(value);
      return;
    }
    if (pending !== undefined) {
      this.#queue.put(reply.ack);
      pending(s, value);
      return;
    }
    s.queue.length = 0; // A command discards what was not sent yet.
    const action = actions.get(value);
    if (argumentActions.has(value)) {
      s.expects = value;
      this.#queue.put(reply.ack);
    } else if (action === undefined) {
      this.#queue.put(reply.error);
    } else {
      this.#queue.put(reply.ack);
      action(s, this.#queue);
    }
  }
}
