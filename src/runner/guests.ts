/** The two guests that `npm start` knows, ready to boot: Debian's Linux and the built-in one. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { removeTree, writeSparseFile, writeWholeFile } from "../host/folders.ts";
import { answerSector, builtinDiskBytes, fnvText, markerSector } from "./builtin/marker.ts";
import { builtinGuest } from "./builtin/guest.ts";
import type { Expected } from "./check-watch.ts";
import { makeGuestDisk } from "./guest-disk.ts";
import type { LinuxGuest } from "./linux-guest.ts";
import type { GuestMachine } from "./machine-line.ts";

/** What check.sh writes: lines with the nonce, cut at this size. */
const checkBytes = 262_144;

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export interface LinuxChoices {
  readonly diskPath: string;
  /** Asks the guest for its check. */
  readonly nonce?: string;
  readonly terminal?: TerminalSize;
}

export function linuxMachine(guest: LinuxGuest, choices: LinuxChoices): GuestMachine {
  const { nonce, terminal } = choices;
  const kernelWords = [
    "console=ttyS0",
    ...(terminal === undefined ? [] : [`tsbhyve.terminal=${terminal.rows}x${terminal.columns}`]),
    // Nobody reads the screen of a check: a panic shall end it, not wait for a person.
    ...(nonce === undefined ? [] : ["panic=-1", `tsbhyve.check=${nonce}`]),
  ];
  makeGuestDisk(choices.diskPath);
  return {
    kernelPath: guest.kernelPath,
    initrdPath: guest.initrdPath,
    kernelLine: kernelWords.join(" "),
    diskPath: choices.diskPath,
    memory: "256M",
  };
}

export function linuxExpectation(nonce: string): Expected {
  const line = `${nonce}\n`;
  const written = line.repeat(Math.ceil(checkBytes / line.length)).slice(0, checkBytes);
  return { nonce, sum: createHash("sha256").update(written).digest("hex") };
}

/** Writes the guest and its disk into `folder`. */
export function builtinMachine(folder: string, nonce: string): GuestMachine {
  const kernelPath = join(folder, "builtin-guest.elf");
  const diskPath = join(folder, "builtin-disk.img");
  writeWholeFile(kernelPath, builtinGuest());
  removeTree(diskPath); // One from before has another nonce.
  writeSparseFile(diskPath, builtinDiskBytes, [{ at: 0, content: markerSector(nonce) }]);
  return { kernelPath, diskPath, memory: "64M" };
}

export function builtinExpectation(nonce: string): Expected {
  return { nonce, sum: fnvText(answerSector(nonce)) };
}
