/**
 * The records of an ext4 file system that image.ts writes, after the kernel's
 * Documentation/filesystems/ext4 ("Data Structures and Algorithms"), and the journal's first
 * block after its "Journal (jbd2)". A record is a list of fields; what is not named is zero.
 */

/** Offset, width in bytes, value, name in the documentation. */
export type Field = readonly [at: number, width: 1 | 2 | 4, value: number, name: string];

export const blockBytes = 4096;
export const inodeBytes = 256;
export const extentBytes = 12;
export const descriptorBytes = 32;

export const inodeNumber = { root: 2, journal: 8, first: 11 } as const;
export const fileType = { file: 1, folder: 2 } as const;
export const modeType = { file: 0o100000, folder: 0o040000 } as const;

const magic = { superblock: 0xef53, extents: 0xf30a, journal: 0xc03b_3998 } as const;
const journalSuperblockV2 = 4;
const usesExtents = 0x80000;
const extraInodeBytes = 32; // Nanoseconds and the time of creation.

/** What a kernel must know to use the image: names as in the documentation. */
const feature = {
  compatible: 0x4 | 0x8, // has_journal, ext_attr.
  incompatible: 0x2 | 0x40, // filetype, extents.
  readOnlyCompatible: 0x1 | 0x2 | 0x40, // sparse_super, large_file, extra_isize.
} as const;

function put(into: Uint8Array, fields: readonly Field[], littleEndian = true): Uint8Array {
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  for (const [at, width, value] of fields) {
    if (width === 1) {
      view.setUint8(at, value);
    } else if (width === 2) {
      view.setUint16(at, value, littleEndian);
    } else {
      view.setUint32(at, value, littleEndian);
    }
  }
  return into;
}

export interface Extent {
  /** First block on the disk; the file's blocks are numbered from 0. */
  readonly start: number;
  readonly count: number;
}

export interface Inode {
  readonly mode: number;
  readonly sizeBytes: number;
  readonly links: number;
  readonly extent: Extent;
  readonly timeSeconds: number;
}

/** The sixty bytes of `i_block`: the root of an extent tree with one leaf. */
export function extentRoot(extent: Extent): Uint8Array {
  return put(new Uint8Array(60), [
    [0x00, 2, magic.extents, "eh_magic"],
    [0x02, 2, extent.count === 0 ? 0 : 1, "eh_entries"],
    [0x04, 2, 4, "eh_max"],
    [0x0c + 0x04, 2, extent.count, "ee_len"],
    [0x0c + 0x08, 4, extent.count === 0 ? 0 : extent.start, "ee_start_lo"],
  ]);
}

export function inodeRecord(inode: Inode): Uint8Array {
  const record = put(new Uint8Array(inodeBytes), [
    [0x00, 2, inode.mode, "i_mode"],
    [0x04, 4, inode.sizeBytes, "i_size_lo"],
    [0x08, 4, inode.timeSeconds, "i_atime"],
    [0x0c, 4, inode.timeSeconds, "i_ctime"],
    [0x10, 4, inode.timeSeconds, "i_mtime"],
    [0x1a, 2, inode.links, "i_links_count"],
    [0x1c, 4, inode.extent.count * (blockBytes / 512), "i_blocks_lo"],
    [0x20, 4, usesExtents, "i_flags"],
    [0x80, 2, extraInodeBytes, "i_extra_isize"],
    [0x90, 4, inode.timeSeconds, "i_crtime"],
  ]);
  record.set(extentRoot(inode.extent), 0x28);
  return record;
}

export interface DirectoryEntry {
  readonly inode: number;
  readonly type: number;
  readonly name: string;
}

/** One block of a directory; the last entry reaches to its end. */
export function directoryBlock(entries: readonly DirectoryEntry[]): Uint8Array {
  const block = new Uint8Array(blockBytes);
  let at = 0;
  entries.forEach((entry, index) => {
    const name = Buffer.from(entry.name, "utf8");
    const needed = (8 + name.length + 3) & ~3;
    const length = index === entries.length - 1 ? blockBytes - at : needed;
    if (name.length > 255 || length < needed) {
      throw new RangeError(`the directory entry ${entry.name} does not fit`);
    }
    put(block.subarray(at, at + 8), [
      [0, 4, entry.inode, "inode"],
      [4, 2, length, "rec_len"],
      [6, 1, name.length, "name_len"],
      [7, 1, entry.type, "file_type"],
    ]);
    block.set(name, at + 8);
    at += length;
  });
  return block;
}

export interface GroupFacts {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly folders: number;
}

export function groupDescriptor(group: GroupFacts): Uint8Array {
  return put(new Uint8Array(descriptorBytes), [
    [0x00, 4, group.blockBitmap, "bg_block_bitmap_lo"],
    [0x04, 4, group.inodeBitmap, "bg_inode_bitmap_lo"],
    [0x08, 4, group.inodeTable, "bg_inode_table_lo"],
    [0x0c, 2, group.freeBlocks, "bg_free_blocks_count_lo"],
    [0x0e, 2, group.freeInodes, "bg_free_inodes_count_lo"],
    [0x10, 2, group.folders, "bg_used_dirs_count_lo"],
  ]);
}

export interface SuperblockFacts {
  readonly blocks: number;
  readonly blocksPerGroup: number;
  readonly inodes: number;
  readonly freeBlocks: number;
  readonly freeInodes: number;
  readonly timeSeconds: number;
  readonly uuid: Uint8Array;
  readonly label: string;
  readonly journal: Inode;
}

export function superblock(facts: SuperblockFacts): Uint8Array {
  const record = put(new Uint8Array(1024), [
    [0x00, 4, facts.inodes, "s_inodes_count"],
    [0x04, 4, facts.blocks, "s_blocks_count_lo"],
    [0x0c, 4, facts.freeBlocks, "s_free_blocks_count_lo"],
    [0x10, 4, facts.freeInodes, "s_free_inodes_count"],
    [0x18, 4, Math.log2(blockBytes / 1024), "s_log_block_size"],
    [0x1c, 4, Math.log2(blockBytes / 1024), "s_log_cluster_size"],
    [0x20, 4, facts.blocksPerGroup, "s_blocks_per_group"],
    [0x24, 4, facts.blocksPerGroup, "s_clusters_per_group"],
    [0x28, 4, facts.inodes, "s_inodes_per_group"],
    [0x30, 4, facts.timeSeconds, "s_wtime"],
    [0x36, 2, 0xffff, "s_max_mnt_count"], // Never: a check costs a guest more than it finds.
    [0x38, 2, magic.superblock, "s_magic"],
    [0x3a, 2, 1, "s_state"], // Cleanly unmounted.
    [0x3c, 2, 1, "s_errors"], // Go on.
    [0x40, 4, facts.timeSeconds, "s_lastcheck"],
    [0x4c, 4, 1, "s_rev_level"],
    [0x54, 4, inodeNumber.first, "s_first_ino"],
    [0x58, 2, inodeBytes, "s_inode_size"],
    [0x5c, 4, feature.compatible, "s_feature_compat"],
    [0x60, 4, feature.incompatible, "s_feature_incompat"],
    [0x64, 4, feature.readOnlyCompatible, "s_feature_ro_compat"],
    [0xe0, 4, inodeNumber.journal, "s_journal_inum"],
    [0xfc, 1, 1, "s_def_hash_version"], // Half MD4.
    [0xfd, 1, 1, "s_jnl_backup_type"], // s_jnl_blocks below is a copy of the journal's inode.
    [0x100, 4, 0x4 | 0x8, "s_default_mount_opts"], // user_xattr, acl.
    [0x108, 4, facts.timeSeconds, "s_mkfs_time"],
    [0x10c + 64, 4, facts.journal.sizeBytes, "s_jnl_blocks[16]"],
    [0x15c, 2, extraInodeBytes, "s_min_extra_isize"],
    [0x15e, 2, extraInodeBytes, "s_want_extra_isize"],
    [0x160, 4, 1, "s_flags"], // Directory hashes take characters as signed.
  ]);
  record.set(facts.uuid.subarray(0, 16), 0x68);
  record.set(Buffer.from(facts.label, "utf8").subarray(0, 16), 0x78);
  record.set(facts.uuid.subarray(0, 16), 0xec); // s_hash_seed: any number that others lack.
  record.set(extentRoot(facts.journal.extent), 0x10c);
  return record;
}

/** The first block of an empty journal; its numbers are big-endian. */
export function journalSuperblock(blocks: number, uuid: Uint8Array): Uint8Array {
  const record = put(new Uint8Array(1024), [
    [0x00, 4, magic.journal, "h_magic"],
    [0x04, 4, journalSuperblockV2, "h_blocktype"],
    [0x0c, 4, blockBytes, "s_blocksize"],
    [0x10, 4, blocks, "s_maxlen"],
    [0x14, 4, 1, "s_first"],
    [0x18, 4, 1, "s_sequence"],
    [0x40, 4, 1, "s_nr_users"],
  ], false);
  record.set(uuid.subarray(0, 16), 0x30);
  // The journal's one user is this very file system.
  record.set(uuid.subarray(0, 16), 0x100);
  return record;
}
