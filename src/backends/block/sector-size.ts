/** The `sectorsize` key of a disk: `L` or `L/P`, logical and physical, as bhyve reads it. */
import { isPowerOfTwo } from "../../base/bits.ts";

export interface SectorSize {
  readonly sectorBytes: number;
  readonly physicalSectorBytes: number;
}

export const sectorBytesMin = 512;

/** bhyve has no upper limit; beyond this a sector no longer fits the requests we accept. */
export const sectorBytesMax = 64 * 1024;

/** What is allowed, in words. */
export const sectorSizeHelp = "a power of two from 512 to 65536, or two of them as"
  + " logical/physical with logical not above physical";

/** The sizes, or undefined when the text is none. */
export function readSectorSize(text: string): SectorSize | undefined {
  const match = /^([0-9]+)(?:\/([0-9]+))?$/.exec(text);
  if (match === null) {
    return undefined;
  }
  const sectorBytes = Number(match[1]);
  const physicalSectorBytes = match[2] === undefined ? sectorBytes : Number(match[2]);
  const usable = isPowerOfTwo(sectorBytes) && isPowerOfTwo(physicalSectorBytes)
    && sectorBytes >= sectorBytesMin && physicalSectorBytes <= sectorBytesMax
    && sectorBytes <= physicalSectorBytes;
  return usable ? { sectorBytes, physicalSectorBytes } : undefined;
}
