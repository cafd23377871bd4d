/** The guest's disk: a small ext4 file system in a sparse file. */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { fileSize, moveInto, temporaryFolder, writeSparseFile } from "../host/folders.ts";
import { MiB } from "../base/units.ts";
import { ext4Image } from "./ext4/image.ts";

const diskBytes = 64 * MiB;

const readme = `This is the disk of the guest that \`npm start\` boots: an ext4 file system on
/dev/vda, a virtio-blk device. What is written here is there again at the next start.
`;

/** Makes the disk at `path` unless it exists; returns whether it was made. */
export function makeGuestDisk(path: string): boolean {
  if (fileSize(path) !== undefined) {
    return false;
  }
  const uuid = randomBytes(16);
  uuid[6] = 0x40 | ((uuid[6] ?? 0) & 0x0f); // RFC 9562 §5.4: version 4, made of random bits.
  uuid[8] = 0x80 | ((uuid[8] ?? 0) & 0x3f);
  const pieces = ext4Image({
    sizeBytes: diskBytes,
    label: "tsbhyve",
    uuid,
    timeSeconds: Math.floor(Date.now() / 1000),
    files: [{ name: "README", content: readme }],
  });
  const folder = temporaryFolder(dirname(path), "disk-");
  try {
    const draft = join(folder.path, "disk");
    writeSparseFile(draft, diskBytes, pieces);
    moveInto(draft, path);
  } finally {
    folder.remove();
  }
  return true;
}
