/** Disks of the host for the functions that want one, by the keys of `blockOptions`. */
import { openRawFile } from "../backends/block/raw-file.ts";
import { ConfigError } from "../base/errors.ts";
import { nodeOf, parse } from "../config/options.ts";
import { blockOptions } from "../devices/block-options.ts";
import type { BlockBackend } from "../fabric/device.ts";
import type { PlannedFunction } from "./plan.ts";

export function openBlock({ key, values }: PlannedFunction): BlockBackend {
  const parsed = parse(blockOptions, nodeOf(values, key));
  if (!parsed.ok) {
    throw new ConfigError(parsed.problems);
  }
  const { path, readOnly, noCache, sync, direct, sectorSize } = parsed.value;
  return openRawFile({
    key, path, readOnly, nocache: noCache, sync: sync || direct,
    ...(sectorSize !== undefined && { sectorSize }),
  });
}
