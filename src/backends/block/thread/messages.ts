/** What a disk's thread is told at its start, and what it says besides the mailbox. */
import type { MessagePort } from "node:worker_threads";
import type { Problem } from "../../../base/errors.ts";
import type { LogLevel } from "../../../base/log.ts";
import type { BlockSpec } from "../spec.ts";
import type { MailboxParts } from "./mailbox.ts";

export interface ThreadStart {
  readonly spec: BlockSpec;
  readonly mailbox: MailboxParts;
  readonly port: MessagePort;
}

export type FromThread =
  | {
    readonly kind: "ready"; readonly sizeBytes: number; readonly readOnly: boolean;
    readonly sectorBytes: number; readonly physicalSectorBytes: number;
    readonly canDiscard: boolean; readonly canZero: boolean;
  }
  | { readonly kind: "refused"; readonly problems: readonly Problem[] }
  | { readonly kind: "log"; readonly level: LogLevel; readonly message: string }
  /** Why the request in a slot has failed: comes before its completion. */
  | { readonly kind: "failure"; readonly slot: number; readonly what: string;
    readonly cause: string }
  /** A fault of ours ended the thread. */
  | { readonly kind: "died"; readonly report: string };
