/** Disks of the host for the functions that want one, by the keys of `blockOptions`. */
import { readFault } from "../backends/block/faults.ts";
import { openSyncImage } from "../backends/block/open.ts";
import { InlineDisk } from "../backends/block/inline.ts";
import { needsThread, type BlockSpec } from "../backends/block/spec.ts";
import { ThreadDisk } from "../backends/block/thread/disk.ts";
import { ConfigError } from "../base/errors.ts";
import { createLog, type Log } from "../base/log.ts";
import { nodeOf, parse, type OptionNode } from "../config/options.ts";
import { blockOptions } from "../devices/block-options.ts";
import type { WakeWord } from "../fabric/byte-ring.ts";
import type { BlockBackend } from "../fabric/device.ts";
import type { PlannedFunction } from "./plan.ts";

/** Reads the keys of a disk; throws ConfigError. */
export function readBlockSpec(node: OptionNode): BlockSpec {
  const key = node.path;
  const parsed = parse(blockOptions, node);
  if (!parsed.ok) {
    throw new ConfigError(parsed.problems);
  }
  const {
    path, backend, readOnly, noCache, sync, direct, sectorSize, overlay, fault, delay, iops,
    bandwidth, onError, thread,
  } = parsed.value;
  const { read, write, flush, seed } = fault;
  const someFault = read ?? write ?? flush;
  return {
    key, path, backend, readOnly, nocache: noCache, sync: sync || direct,
    delayMs: delay === undefined ? 0 : Number.parseInt(delay, 10), iops, bandwidth, onError, thread,
    ...(sectorSize !== undefined && { sectorSize }),
    ...(overlay !== undefined && { overlay }),
    ...(someFault !== undefined && {
      faults: {
        seed, ...(read !== undefined && { read: readFault(read) }),
        ...(write !== undefined && { write: readFault(write) }),
        ...(flush !== undefined && { flush: readFault(flush) }),
      },
    }),
  };
}

/** The disks of one machine: opens them, and looks after them between time slices. */
export class MachineDisks {
  readonly #wake: WakeWord;
  readonly #log: Log;
  readonly #disks: (InlineDisk | ThreadDisk)[] = [];

  constructor(wake: WakeWord, log: Log) {
    this.#wake = wake;
    this.#log = log;
  }

  open({ key, values }: PlannedFunction): BlockBackend {
    const spec = readBlockSpec(nodeOf(values, key));
    const log = createLog((level, message) => this.#log[level](`${spec.key}: ${message}`));
    const disk = needsThread(spec) ? new ThreadDisk(spec, this.#wake, log)
      : new InlineDisk(openSyncImage(spec, log));
    this.#disks.push(disk);
    return disk;
  }

  /** Passes on what other threads and other programs have done meanwhile. */
  poll(): void {
    const nowMs = performance.now();
    for (const disk of this.#disks) {
      disk.poll(nowMs);
    }
  }
}
