/** A PS/2 keyboard (IBM PS/2 hardware reference, "keyboard") on which nobody types: it answers
 * commands, so that guests find it. */
import { ByteQueue } from "./queue.ts";

/** The size of a keyboard's buffer. */
const queueMax = 16;

const reply = { ack: 0xfa, resend: 0xfe, passed: 0xaa, echo: 0xee } as const;
/** Identification of an MF2 keyboard. */
const identity = [0xab, 0x83] as const;
const command = {
  setLeds: 0xed, echo: 0xee, scanCodeSet: 0xf0, identify: 0xf2, typematic: 0xf3, enable: 0xf4,
  disable: 0xf5, defaults: 0xf6, resend: 0xfe, reset: 0xff,
} as const;

export function newKeyboard() {
  const queue: number[] = [];
  return {
    queue,
    /** The command whose argument comes next, or -1. */
    expects: -1,
    scanning: true, leds: 0, scanCodeSet: 2, typematic: 0x2b, last: 0,
  };
}

export type KeyboardState = ReturnType<typeof newKeyboard>;

type Action = (state: KeyboardState, queue: ByteQueue) => void;

const defaults: Action = (state) => {
  state.scanCodeSet = 2;
  state.typematic = 0x2b;
};

/** Commands without argument; each is acknowledged first. */
const actions = new Map<number, Action>([
  [command.identify, (_state, queue) => queue.put(...identity)],
  [command.enable, (state) => { state.scanning = true; }],
  [command.disable, (state, queue) => {
    defaults(state, queue);
    state.scanning = false;
  }],
  [command.defaults, defaults],
  [command.reset, (state, queue) => {
    defaults(state, queue);
    state.scanning = true;
    state.leds = 0;
    queue.put(reply.passed);
  }],
]);

const argumentActions = new Map<number, (state: KeyboardState, queue: ByteQueue, value: number)
  => void>([
    [command.setLeds, (state, _queue, value) => { state.leds = value & 7; }],
    [command.typematic, (state, _queue, value) => { state.typematic = value & 0x7f; }],
    [command.scanCodeSet, (state, queue, value) => {
      if (value === 0) {
        queue.put(state.scanCodeSet);
      } else if (value <= 3) {
        state.scanCodeSet = value;
      }
    }],
  ]);

export class Keyboard {
  readonly state: KeyboardState;
  readonly #queue: ByteQueue;

  constructor(state: KeyboardState) {
    this.state = state;
    this.#queue = new ByteQueue(() => state.queue, queueMax);
  }

  /** The next byte for the controller, or -1. */
  take(): number {
    const byte = this.#queue.take();
    this.state.last = byte < 0 ? this.state.last : byte;
    return byte;
  }

  command(value: number): void {
    const s = this.state;
    const pending = argumentActions.get(s.expects);
    s.expects = -1;
    // A byte from 0xED on is a new command, also where an argument was due.
    if (pending !== undefined && value < command.setLeds) {
      this.#queue.put(reply.ack);
      pending(s, this.#queue, value);
      return;
    }
    const action = actions.get(value);
    if (value === command.echo) {
      this.#queue.put(reply.echo);
    } else if (value === command.resend) {
      this.#queue.put(s.last);
    } else if (argumentActions.has(value)) {
      s.expects = value;
      this.#queue.put(reply.ack);
    } else if (action !== undefined) {
      s.queue.length = 0;
      this.#queue.put(reply.ack);
      action(s, this.#queue);
    } else {
      this.#queue.put(reply.resend);
    }
  }
}
