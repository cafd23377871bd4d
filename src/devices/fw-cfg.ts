/**
 * QEMU's firmware configuration device (docs/specs/fw_cfg.rst) as bhyve has it (qemu_fwcfg.c): a
 * selector at port 0x510, the bytes of what it selects at 0x511, no DMA. By it firmware learns the
 * number of processors, the memory map, ACPI tables, the order of boot devices, and user's files.
 */
import { ConfigError } from "../base/errors.ts";
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import { registerMap } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";

export const fwCfgPort = 0x510;
/** Bits of the selector that name an item; bit 14 asks to write, which nothing here takes. */
const itemMask = 0xbfff;
const item = { signature: 0x00, id: 0x01, cpus: 0x05, cpusMax: 0x0f, directory: 0x19, files: 0x20 };
/** Revision: the plain interface, without DMA. */
const revision = 1;
const entryBytes = 64;
const fileNameBytesMax = 55;
const filesMax = 0x3fff - item.files;

export interface FwCfgFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface FwCfgContent {
  readonly cpus: number;
  readonly files: readonly FwCfgFile[];
}

function littleEndian(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, index) => (value >>> (index * 8)) & 0xff);
}

/** A count, then for each file its size, item and name; big-endian (fw_cfg.rst, File Directory). */
function directoryOf(files: readonly FwCfgFile[]): Uint8Array {
  const directory = Buffer.alloc(4 + files.length * entryBytes);
  directory.writeUInt32BE(files.length, 0);
  for (const [index, { name, bytes }] of files.entries()) {
    const at = 4 + index * entryBytes;
    directory.writeUInt32BE(bytes.length, at);
    directory.writeUInt16BE(item.files + index, at + 4);
    directory.write(name, at + 8, fileNameBytesMax, "utf8");
  }
  return directory;
}

function itemsOf({ cpus, files }: FwCfgContent): ReadonlyMap<number, Uint8Array> {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return new Map([
    [item.signature, new Uint8Array(Buffer.from("QEMU"))],
    [item.id, littleEndian(revision, 4)],
    [item.cpus, littleEndian(cpus, 2)],
    [item.cpusMax, littleEndian(cpus, 2)],
    [item.directory, directoryOf(sorted)],
    ...sorted.map(({ bytes }, index) => [item.files + index, bytes] as const),
  ]);
}

/** Throws ConfigError for files that the directory cannot hold. */
function requireFit(files: readonly FwCfgFile[]): void {
  const seen = new Set<string>();
  for (const { name } of files) {
    if (seen.has(name)) {
      throw new ConfigError({ key: "-f", value: name, message: "is there already; allowed: a "
        + "name that neither another -f nor tsbhyve itself has given a file" });
    }
    seen.add(name);
  }
  if (files.length > filesMax) {
    throw new ConfigError({ key: "-f", value: String(files.length),
      message: `allowed: up to ${filesMax} files` });
  }
}

function newState() {
  return { selector: 0, offset: 0 };
}

export class FwCfg implements BoardDevice {
  readonly #items: ReadonlyMap<number, Uint8Array>;
  readonly #claims = new ClaimList();
  readonly state = newState();

  /** Throws ConfigError when two files have one name. */
  constructor(content: FwCfgContent) {
    requireFit(content.files);
    this.#items = itemsOf(content);
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "fw_cfg", base: fwCfgPort }, registers, this);
  }

  select(selector: number): void {
    this.state.selector = selector & itemMask;
    this.state.offset = 0;
  }

  /** The next byte of the item; 0 behind its end and where there is none. */
  next(): number {
    const { state } = this;
    const byte = this.#items.get(state.selector)?.[state.offset];
    if (byte === undefined) {
      return 0; // The offset stays: a guest may read for ever.
    }
    state.offset += 1;
    return byte;
  }

  reset(): void {
    assignState(this.state, newState());
  }

  sync(): void {}

  detach(): void {
    this.#claims.release();
  }
}

const registers = registerMap<FwCfg>({
  size: 2,
  rows: [
    [0, "SELECTOR", "w", { size: 2, write: (device, value) => device.select(value) }],
    [1, "DATA", "r", { read: (device) => device.next() }],
  ],
});
