/** From the keys of a disk to its image: the back end, then what lies over it. */
import { ConfigError, HostError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { FaultyImage } from "./faults.ts";
import type { BlockImage } from "./image.ts";
import { PacedImage } from "./pacing.ts";
import { openRam } from "./ram.ts";
import { openRawImage } from "./raw-file.ts";
import { chosenBackend, type BlockSpec } from "./spec.ts";

/** Opens what can be opened in one go, for the machine's own thread; throws ConfigError. */
export function openSyncImage(spec: BlockSpec, log: Log): BlockImage {
  return withFaults(spec, openSyncBackend(spec, log));
}

/** Opens any disk; for a thread of its own. */
export async function openImage(spec: BlockSpec, log: Log): Promise<BlockImage> {
  const image = withFaults(spec, await openBackend(spec, log));
  const { delayMs, iops, bandwidth } = spec;
  const patient = spec.onError === "stop";
  return delayMs > 0 || iops > 0 || bandwidth > 0 || patient
    ? new PacedImage(image, { delayMs, iops, bandwidth, patient }, log) : image;
}

function withFaults({ faults, path }: BlockSpec, image: BlockImage): BlockImage {
  return faults === undefined ? image : new FaultyImage(image, faults, path);
}

async function openBackend(spec: BlockSpec, log: Log): Promise<BlockImage> {
  return openSyncBackend(spec, log);
}

function openSyncBackend(spec: BlockSpec, _log: Log): BlockImage {
  const { key, path, readOnly, nocache, sync, sectorSize } = spec;
  switch (chosenBackend(spec)) {
    case "ram": return openRam(key, path);
    default:
      return openRawImage({
        key, path, readOnly, nocache, sync, ...(sectorSize !== undefined && { sectorSize }),
      });
  }
}

/** Turns what the host refuses into a problem of the disk's `path`. */
export function refuse({ key, path }: Pick<BlockSpec, "key" | "path">, error: unknown): never {
  if (error instanceof HostError) {
    throw new ConfigError({ key: `${key}.path`, value: path, message: error.message });
  }
  throw error;
}
