/** A folder of the host for the guest to mount (VIRTIO 1.2 §5.9): 9P messages, one a chain. */
import { defined } from "../../base/assert.ts";
import { flag, options, text, type OptionsOf } from "../../config/options.ts";
import type { FolderShare } from "../../fabric/device.ts";
import type { PciEnv } from "../../fabric/pci/description.ts";
import { fixedConfig, type DeviceConfig, type VirtioHandler } from "./core.ts";
import { virtioDevice } from "./device.ts";
import type { Virtqueue } from "./virtqueue.ts";

const mountTag = 0; // The one feature (§5.9.3).
const queueSize = 256; // bhyve's.
/** Requests larger than any that is agreed on are cut, and then refused by the server. */
const requestBytesMax = 256 * 1024;
const tagBytesMax = 255;

export const shareOptions = options({
  shareName: text({
    key: "sharename", required: true, lengthMax: tagBytesMax, help: "Name that the guest mounts.",
  }),
  path: text({ required: true, help: "Folder of the host." }),
  readOnly: flag({ key: "ro", default: false, help: "Refuse writes." }),
});

export const virtio9p = virtioDevice({
  name: "virtio-9p",
  help: "A folder of the host, shared (9P).",
  virtioId: 9,
  legacyPciId: 0x1009,
  classCode: 0x01_00_00,
  queues: () => [{ name: "requests", size: queueSize }],
  options: shareOptions,
  backend: "share",
  create: (given, env) => new Virtio9p(given, env),
});

export class Virtio9p implements VirtioHandler {
  readonly features = [mountTag];
  readonly config: DeviceConfig;
  readonly #share: FolderShare;
  readonly #request = new Uint8Array(requestBytesMax);
  readonly state = {}; // What the guest has open is the share's.

  constructor({ shareName }: OptionsOf<typeof shareOptions>, env: PciEnv) {
    this.#share = defined(env.share, "the folder of a share");
    const name = new TextEncoder().encode(shareName);
    const bytes = new Uint8Array(2 + name.length);
    new DataView(bytes.buffer).setUint16(0, name.length, true);
    bytes.set(name, 2);
    this.config = fixedConfig(bytes);
  }

  onNotify(queue: Virtqueue): void {
    for (const chain of queue.take()) {
      const count = chain.read(this.#request);
      const reply = this.#share.serve(this.#request.subarray(0, count), chain.writableBytes);
      chain.complete(chain.write(reply));
    }
  }

  onQueueReset(): void {
    this.#share.reset();
  }
}
