/** VHD for reading (Microsoft, Virtual Hard Disk Image Format Specification 1.0); big-endian. */
import { openFile, type HostFile } from "../../host/files.ts";
import { MappedImage, readExactly, unusable, type BlockMap } from "./mapped.ts";

const sectorBytes = 512;
const diskType = { fixed: 2, dynamic: 3, differencing: 4 } as const;
/** Offsets in the footer and in the header of dynamic disks. */
const footer = { dataOffset: 16, size: 48, type: 60 } as const;
const header = { tableOffset: 16, entries: 28, blockBytes: 32 } as const;
const unused = 0xffff_ffff;
/** 2 TiB in blocks of 2 MiB make a table of 4 MiB. */
const entriesMax = 16 * 1024 * 1024;

function u64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

function cookie(view: DataView): string {
  return Buffer.from(view.buffer, 0, 8).toString("latin1");
}

/** Throws HostError. */
export function openVhd(path: string): MappedImage {
  const file = openFile(path, { write: false });
  try {
    return new MappedImage(file, readMap(file));
  } catch (error) {
    file.close();
    throw error;
  }
}

function readMap(file: HostFile): BlockMap {
  const end = readExactly(file, file.sizeBytes - sectorBytes, sectorBytes, "VHD");
  if (cookie(end) !== "conectix") {
    throw unusable(file.path, "VHD", "it has no footer of VHD");
  }
  const sizeBytes = u64(end, footer.size);
  const type = end.getUint32(footer.type);
  if (type === diskType.fixed) {
    if (sizeBytes > file.sizeBytes - sectorBytes) {
      throw unusable(file.path, "VHD", "it is cut short");
    }
    return { sizeBytes, blockBytes: Math.max(sizeBytes, sectorBytes), locate: () => 0 };
  }
  if (type !== diskType.dynamic) {
    throw unusable(file.path, "VHD", type === diskType.differencing
      ? "it needs a parent disk, which is not supported" : `its type is ${type}; allowed: 2 and 3`);
  }
  return readDynamic(file, u64(end, footer.dataOffset), sizeBytes);
}

function readDynamic(file: HostFile, at: number, sizeBytes: number): BlockMap {
  const head = readExactly(file, at, 1024, "VHD");
  const blockBytes = head.getUint32(header.blockBytes);
  const entries = head.getUint32(header.entries);
  if (cookie(head) !== "cxsparse" || blockBytes < sectorBytes || blockBytes % sectorBytes !== 0
    || entries > entriesMax || entries * blockBytes < sizeBytes) {
    throw unusable(file.path, "VHD", "its header makes no sense");
  }
  const table = readExactly(file, u64(head, header.tableOffset), entries * 4, "VHD");
  // A bitmap of the sectors in use, in whole sectors, precedes each block.
  const bitmapBytes = Math.ceil(blockBytes / sectorBytes / 8 / sectorBytes) * sectorBytes;
  return {
    sizeBytes, blockBytes,
    locate: (block) => {
      const sector = table.getUint32(block * 4);
      return sector === unused ? -1 : sector * sectorBytes + bitmapBytes;
    },
  };
}
