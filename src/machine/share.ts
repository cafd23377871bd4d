/** Folders of the host for the functions that share one, by the keys of `shareOptions`. */
import { openShare } from "../backends/share/server.ts";
import { ConfigError, HostError } from "../base/errors.ts";
import { nodeOf, parse, type OptionNode } from "../config/options.ts";
import { shareOptions } from "../devices/virtio/p9.ts";
import type { FolderShare } from "../fabric/device.ts";
import type { PlannedFunction } from "./plan.ts";

/** Throws ConfigError. */
export function openPlannedShare({ key, values }: PlannedFunction): FolderShare {
  return openNodeShare(nodeOf(values, key));
}

/** The same from the node of the tree; the node's other keys are not looked at. */
export function openNodeShare(node: OptionNode): FolderShare {
  const parsed = parse(shareOptions, node);
  if (!parsed.ok) {
    throw new ConfigError(parsed.problems);
  }
  const { path, readOnly } = parsed.value;
  try {
    return openShare({ path, readOnly });
  } catch (error) {
    if (error instanceof HostError) {
      throw new ConfigError({ key: `${node.path}.path`, value: path, message: error.message });
    }
    throw error;
  }
}
