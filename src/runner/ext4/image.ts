/**
 * Makes an ext4 file system with a journal: one block group, files in the root directory only.
 * The layout, in blocks of 4 KiB: superblock, group descriptor, two bitmaps, inode table,
 * directories, files, journal; everything behind them is free and needs no byte on the host.
 */
import { KiB, MiB } from "../../base/units.ts";
import {
  blockBytes, directoryBlock, fileType, groupDescriptor, inodeBytes, inodeNumber, inodeRecord,
  journalSuperblock, modeType, superblock, type DirectoryEntry, type Extent, type Inode,
} from "./records.ts";

const bitsPerBlock = blockBytes * 8;
/** One group: as many blocks as one bitmap has bits. */
export const imageBytesMax = bitsPerBlock * blockBytes;
export const imageBytesMin = 16 * MiB;
const bytesPerInode = 16 * KiB;
const journalBlocks = 1024; // The least that the kernel accepts (JBD2_MIN_JOURNAL_BLOCKS).
const superblockAt = 1024;

export interface ImageFile {
  readonly name: string;
  readonly content: Uint8Array | string;
}

export interface ImageOptions {
  readonly sizeBytes: number;
  readonly label: string;
  /** Sixteen bytes that tell this file system from every other. */
  readonly uuid: Uint8Array;
  readonly timeSeconds: number;
  readonly files: readonly ImageFile[];
}

/** Bytes at a place of the image; all others are zero. */
export interface ImagePiece {
  readonly at: number;
  readonly content: Uint8Array;
}

/** The pieces of the image that are not zero, in no order. */
export function ext4Image(options: ImageOptions): readonly ImagePiece[] {
  const { sizeBytes, timeSeconds } = options;
  if (sizeBytes % blockBytes !== 0 || sizeBytes < imageBytesMin || sizeBytes > imageBytesMax) {
    throw new RangeError(
      `an ext4 image of ${sizeBytes} bytes: multiples of 4 KiB from 16 to 128 MiB can be made`);
  }
  const blocks = sizeBytes / blockBytes;
  const inodes = sizeBytes / bytesPerInode;
  const tableBlocks = Math.ceil(inodes * inodeBytes / blockBytes);
  const take = allocator(2, blocks);
  const blockBitmap = take(1).start;
  const inodeBitmap = take(1).start;
  const inodeTable = take(tableBlocks).start;
  const builder = new TreeBuilder(take, timeSeconds);
  builder.addFolders(options.files);
  const journal = builder.addJournal();
  const usedBlocks = take(0).start;
  const usedInodes = builder.nextInode - 1;
  const group = {
    blockBitmap, inodeBitmap, inodeTable,
    freeBlocks: blocks - usedBlocks, freeInodes: inodes - usedInodes, folders: 2,
  };
  const table = (number: number) => inodeTable * blockBytes + (number - 1) * inodeBytes;
  return [
    { at: superblockAt, content: superblock({
      blocks, blocksPerGroup: bitsPerBlock, inodes, freeBlocks: group.freeBlocks,
      freeInodes: group.freeInodes, timeSeconds, uuid: options.uuid, label: options.label, journal,
    }) },
    { at: blockBytes, content: groupDescriptor(group) },
    { at: blockBitmap * blockBytes, content: bitmap(usedBlocks, blocks) },
    { at: inodeBitmap * blockBytes, content: bitmap(usedInodes, inodes) },
    ...[...builder.inodes].map(([number, inode]) =>
      ({ at: table(number), content: inodeRecord(inode) })),
    ...builder.pieces,
    {
      at: journal.extent.start * blockBytes,
      content: journalSuperblock(journalBlocks, options.uuid),
    },
  ];
}

/** Gives out runs of blocks one behind the other. */
function allocator(first: number, end: number): (count: number) => Extent {
  let next = first;
  return (count) => {
    if (next + count > end) {
      throw new RangeError(`the files need more than the ${end} blocks of the ext4 image`);
    }
    const start = next;
    next += count;
    return { start, count };
  };
}

/** `used` bits set, and those that stand for nothing; the rest is free. */
function bitmap(used: number, count: number): Uint8Array {
  const bytes = new Uint8Array(blockBytes);
  for (let bit = 0; bit < bitsPerBlock; bit++) {
    if (bit < used || bit >= count) {
      bytes[bit >>> 3] = (bytes[bit >>> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return bytes;
}

/** Directories and files with their inodes. */
class TreeBuilder {
  readonly #take: (count: number) => Extent;
  readonly #timeSeconds: number;
  readonly inodes = new Map<number, Inode>();
  readonly pieces: ImagePiece[] = [];
  nextInode: number = inodeNumber.first;

  constructor(take: (count: number) => Extent, timeSeconds: number) {
    this.#take = take;
    this.#timeSeconds = timeSeconds;
  }

  addFolders(files: readonly ImageFile[]): void {
    const root = inodeNumber.root;
    const lost = this.nextInode++; // By custom the first inode; e2fsck(8) wants the folder.
    const folder = (inode: number, name: string): DirectoryEntry =>
      ({ inode, type: fileType.folder, name });
    const entries = files.map(({ name, content }): DirectoryEntry => {
      const bytes = Buffer.from(content);
      const inode = this.nextInode++;
      this.#add(inode, { mode: modeType.file | 0o644, links: 1, content: bytes });
      return { inode, type: fileType.file, name };
    });
    this.#add(root, {
      mode: modeType.folder | 0o755,
      links: 3, // Its own `.`, its `..`, and that of lost+found.
      content: directoryBlock([
        folder(root, "."), folder(root, ".."), folder(lost, "lost+found"), ...entries,
      ]),
    });
    this.#add(lost, {
      mode: modeType.folder | 0o700,
      links: 2,
      content: directoryBlock([folder(lost, "."), folder(root, "..")]),
    });
  }

  addJournal(): Inode {
    const inode: Inode = {
      mode: modeType.file | 0o600,
      sizeBytes: journalBlocks * blockBytes,
      links: 1,
      extent: this.#take(journalBlocks),
      timeSeconds: this.#timeSeconds,
    };
    this.inodes.set(inodeNumber.journal, inode);
    return inode;
  }

  #add(
    number: number, file: { readonly mode: number; readonly links: number; content: Uint8Array },
  ): void {
    const { content } = file;
    const extent = this.#take(Math.ceil(content.length / blockBytes));
    this.inodes.set(number, {
      mode: file.mode, links: file.links, sizeBytes: content.length, extent,
      timeSeconds: this.#timeSeconds,
    });
    this.pieces.push({ at: extent.start * blockBytes, content });
  }
}
