/** From the keys of a disk to its image: the back end, then what lies over it. */
import { ConfigError, HostError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { FaultyImage } from "./faults.ts";
import { fileExists } from "../../host/files.ts";
import type { BlockImage } from "./image.ts";
import { LayeredImage } from "./layers.ts";
import { openModule } from "./module.ts";
import { openNbd } from "./nbd/client.ts";
import { PacedImage } from "./pacing.ts";
import { openOverlay, openQcow2 } from "./qcow2/open.ts";
import { openRam, RamImage } from "./ram.ts";
import { openRawImage } from "./raw-file.ts";
import { openVhd } from "./vhd.ts";
import { openVhdx } from "./vhdx.ts";
import { openVmdk } from "./vmdk.ts";
import { chosenBackend, type BackendName, type BlockSpec } from "./spec.ts";

/** Opens what can be opened in one go, for the machine's own thread; throws ConfigError. */
export function openSyncImage(spec: BlockSpec, log: Log): BlockImage {
  return withFaults(spec, withOverlay(spec, openSyncBackend(lower(spec), log)));
}

/** Opens any disk; for a thread of its own. */
export async function openImage(spec: BlockSpec, log: Log): Promise<BlockImage> {
  const image = withFaults(spec, withOverlay(spec, await openBackend(lower(spec), log)));
  const { delayMs, iops, bandwidth } = spec;
  const patient = spec.onError === "stop";
  return delayMs > 0 || iops > 0 || bandwidth > 0 || patient
    ? new PacedImage(image, { delayMs, iops, bandwidth, patient }, log) : image;
}

/** Under an overlay nothing is written. */
function lower(spec: BlockSpec): BlockSpec {
  return spec.overlay === undefined ? spec : { ...spec, readOnly: true };
}

/** A dry run changes nothing, so it does without an overlay that is not there yet. */
function withOverlay(spec: BlockSpec, base: BlockImage): BlockImage {
  const { key, overlay, readOnly, sync } = spec;
  if (overlay === undefined || (readOnly && !fileExists(overlay))) {
    return base;
  }
  try {
    const top = overlay === "ram" ? new RamImage(base.sizeBytes)
      : openOverlay(overlay, base.sizeBytes, sync);
    return new LayeredImage(top, base);
  } catch (error) {
    void base.close?.();
    if (error instanceof HostError) {
      throw new ConfigError({ key: `${key}.overlay`, value: overlay, message: error.message });
    }
    throw error;
  }
}

function withFaults({ faults, path }: BlockSpec, image: BlockImage): BlockImage {
  return faults === undefined ? image : new FaultyImage(image, faults, path);
}

async function openBackend(spec: BlockSpec, log: Log): Promise<BlockImage> {
  const { key, path, readOnly } = spec;
  switch (chosenBackend(spec)) {
    case "nbd": return openNbd({ key, path, readOnly }, log);
    case "module": return openModule({ key, path, readOnly });
    default: return openSyncBackend(spec, log);
  }
}

function openSyncBackend(spec: BlockSpec, log: Log): BlockImage {
  const { key, path, readOnly, nocache, sync, sectorSize } = spec;
  switch (chosenBackend(spec)) {
    case "ram": return openRam(key, path);
    case "vmdk": return orRefuse(spec, () => openVmdk(path));
    case "vhd": return orRefuse(spec, () => openVhd(path));
    case "vhdx": return orRefuse(spec, () => openVhdx(path));
    case "qcow2": return orRefuse(spec, () => openQcow2({
      path, readOnly, nocache: false, sync,
      openOther: (other, format) => openBackingFile(spec, other, format, log),
    }));
    default:
      return openRawImage({
        key, path, readOnly, nocache, sync, ...(sectorSize !== undefined && { sectorSize }),
      });
  }
}

/** A backing file that is no qcow2; its format is what the image says, or by its suffix. */
function openBackingFile(
  spec: BlockSpec, path: string, format: string | undefined, log: Log,
): BlockImage {
  const names: Readonly<Record<string, BackendName>> = {
    raw: "raw", vmdk: "vmdk", vpc: "vhd", vhdx: "vhdx", qcow2: "qcow2",
  };
  const backend = format === undefined ? "auto" : names[format];
  if (backend === undefined) {
    throw new HostError(`cannot use ${path}`, `the format ${format} is not supported`);
  }
  return openSyncBackend({ ...spec, path, backend, readOnly: true, sync: false }, log);
}

/** Turns what the host refuses into a problem of the disk's `path`. */
function orRefuse<T>({ key, path }: BlockSpec, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof HostError) {
      throw new ConfigError({ key: `${key}.path`, value: path, message: error.message });
    }
    throw error;
  }
}
