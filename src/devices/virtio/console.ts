/**
 * Console and byte channels (VIRTIO 1.2 §5.3). As in bhyve, each port is one channel of the host
 * with a name; a port may be a console besides (`hvc0`), which bhyve has not.
 */
import { ConfigError } from "../../base/errors.ts";
import { flag, numbered, options, text, type OptionsOf } from "../../config/options.ts";
import type { CharBackend } from "../../fabric/device.ts";
import type { PciEnv } from "../../fabric/pci/description.ts";
import { ConsolePort, newPortState } from "./console-port.ts";
import type { DeviceConfig, VirtioFace, VirtioHandler } from "./core.ts";
import { virtioDevice } from "./device.ts";
import type { Virtqueue } from "./virtqueue.ts";

/** Feature bits (§5.3.3). */
const feature = { size: 0, multiPort: 1, emergencyWrite: 2 } as const;
/** Events of control messages (§5.3.6.2): u32 port, u16 event, u16 value. */
const event = {
  deviceReady: 0, portAdd: 1, portReady: 3, consolePort: 4, resize: 5, portOpen: 6, portName: 7,
} as const;
const controlBytes = 8;
/** A driver that asks and never takes the answers gets no more than so many. */
const answersMax = 256;

const queueSize = 64; // bhyve's.
const portLast = 15;
/** Queues: two of port 0, two of control, two of each other port. */
const controlIn = 2;
const controlOut = 3;
/** struct virtio_console_config: columns, rows, ports, emergency write. */
const configBytes = 12;
const emergencyAt = 8;
const columns = 80;
const rows = 25;
/** UTF-8 names of ports are also names of files in the guest. */
const nameBytesMax = 64;

const consoleOptions = options({
  ports: numbered(options({
    name: text({
      lengthMax: nameBytesMax, help: "Name of the port: /dev/virtio-ports/… in a Linux guest.",
    }),
    path: text({
      help: "Where its bytes go: a UNIX socket to listen on, or what a serial line may be.",
    }),
    console: flag({ default: false, help: "A console of the guest, such as Linux's hvc0." }),
  }), { key: "port", last: portLast, help: "Ports." }),
});

type ConsoleOptions = OptionsOf<typeof consoleOptions>;

/** Ports need not be numbered without gaps; queues have to be. */
const portCount = ({ ports }: ConsoleOptions) =>
  Math.max(1, ...[...ports.keys()].map((number) => number + 1));

export const virtioConsole = virtioDevice({
  name: "virtio-console",
  help: "Consoles and named byte channels.",
  virtioId: 3,
  legacyPciId: 0x1003,
  classCode: 0x07_80_00,
  queues: (given) => Array.from({ length: 2 * (portCount(given) + 1) }, (_none, index) => ({
    name: `${index === controlIn || index === controlOut ? "control" : "port"} ${index}`,
    size: queueSize,
  })),
  options: consoleOptions,
  backend: "char",
  create: (given, env, face) => new VirtioConsole(given, env, face),
});

const receiveQueue = (port: number) => (port === 0 ? 0 : 2 * port + 2);

export class VirtioConsole implements VirtioHandler {
  readonly features = [feature.size, feature.multiPort, feature.emergencyWrite];
  readonly config: DeviceConfig;
  readonly #face: VirtioFace;
  readonly #ports: readonly (ConsolePort | undefined)[];
  readonly #message = new Uint8Array(controlBytes);
  readonly state;

  constructor(given: ConsoleOptions, env: PciEnv, face: VirtioFace) {
    const states = Array.from({ length: portCount(given) }, newPortState);
    /** Control messages to the driver that wait for buffers: port, event, value. */
    const answers: number[][] = [];
    this.state = { ports: states, answers };
    this.#face = face;
    checkPorts(given, env.key);
    this.#ports = states.map((state, number) => {
      const options = given.ports.get(number);
      return options && new ConsolePort({
        name: options.name ?? "", isConsole: options.console,
        backend: env.charPort?.(`port.${number}.path`) ?? unplugged,
        clock: env.clock,
        receive: () => face.queue(receiveQueue(number)),
        transmit: () => face.queue(receiveQueue(number) + 1),
      }, state);
    });
    this.config = this.#makeConfig();
  }

  onNotify(queue: Virtqueue): void {
    switch (queue.index) {
      case controlIn: this.#sendAnswers(); break;
      case controlOut: this.#takeControl(queue); break;
      default: this.#servePort(queue);
    }
  }

  sync(): void {
    for (const port of this.#ports) {
      port?.sync();
    }
  }

  onQueueReset(): void {
    this.sync();
  }

  detach(): void {
    for (const port of this.#ports) {
      port?.detach();
    }
  }

  #servePort(queue: Virtqueue): void {
    const number = queue.index < 2 ? 0 : (queue.index - 2) >>> 1;
    const port = this.#ports[number];
    if (port === undefined) {
      queue.drain((row) => queue.complete(row, 0)); // Nobody is at the other end.
    } else if ((queue.index & 1) === 0) {
      port.fill();
    } else {
      port.empty();
    }
  }

  #takeControl(queue: Virtqueue): void {
    const view = new DataView(this.#message.buffer);
    queue.drain((row) => {
      const whole = queue.chain(row).read(this.#message) === controlBytes;
      queue.complete(row, 0);
      if (whole) {
        this.#hear(view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true));
      }
    });
    this.#sendAnswers();
  }

  #hear(number: number, what: number, value: number): void {
    const port = this.#ports[number];
    const state = this.state.ports[number];
    if (what === event.deviceReady && value === 1) {
      this.#ports.forEach((each, index) => each && this.#answer(index, event.portAdd, 1));
    } else if (port === undefined || state === undefined) {
      return;
    } else if (what === event.portReady && value === 1) {
      if (port.isConsole) {
        this.#answer(number, event.consolePort, 1);
      }
      this.#answer(number, event.portName, 1);
      this.#answer(number, event.portOpen, 1);
    } else if (what === event.portOpen) {
      state.open = value !== 0;
      port.fill();
    }
  }

  #answer(number: number, what: number, value: number): void {
    if (this.state.answers.length < answersMax) {
      this.state.answers.push([number, what, value]);
    }
  }

  #sendAnswers(): void {
    const queue = this.#face.queue(controlIn);
    const { answers } = this.state;
    while (answers.length > 0) {
      const row = queue.pop();
      if (row < 0) {
        if (!queue.ready || !queue.rearm()) {
          break;
        }
        continue;
      }
      const [number = 0, what = 0, value = 0] = answers.shift() ?? [];
      queue.complete(row, queue.chain(row).write(this.#encode(number, what, value)));
    }
    queue.publish();
  }

  /** A name follows the message that announces it. */
  #encode(number: number, what: number, value: number): Uint8Array {
    const name = new TextEncoder().encode(
      what === event.portName ? this.#ports[number]?.name ?? "" : "");
    const bytes = new Uint8Array(controlBytes + name.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, number, true);
    view.setUint16(4, what, true);
    view.setUint16(6, value, true);
    bytes.set(name, controlBytes);
    return bytes;
  }

  #makeConfig(): DeviceConfig {
    const bytes = new Uint8Array(configBytes);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, columns, true);
    view.setUint16(2, rows, true);
    view.setUint32(4, this.state.ports.length, true);
    return {
      size: configBytes,
      read: (offset, size) => {
        const copy = new Uint8Array(4);
        copy.set(bytes.subarray(offset, offset + size));
        return new DataView(copy.buffer).getUint32(0, true);
      },
      write: (offset, _size, value) => {
        if (offset === emergencyAt) {
          this.#ports.find((port) => port !== undefined)?.emergency(value & 0xff);
        }
      },
    };
  }
}

function checkPorts({ ports }: ConsoleOptions, key: string): void {
  const problems = [...ports].flatMap(([number, { name, path, console }]) => [
    ...(path === undefined ? [{ key: `${key}.port.${number}.path`, message: "is required" }] : []),
    ...(name === undefined && !console
      ? [{ key: `${key}.port.${number}.name`, message: "is required" }] : []),
  ]);
  if (problems.length > 0) {
    throw new ConfigError(problems);
  }
}

/** The far end of a port in a machine that is only built, as for a dry run. */
const unplugged: CharBackend = {
  put: () => true, get: () => -1, onReadable: () => {}, close: () => {},
};
