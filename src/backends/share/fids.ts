/** What the guest calls its files: fids, each a file of the tree and perhaps an opening of it. */
import { FileRefusal, type OpenedFile, type SharedFile } from "../../host/shared-folder.ts";

export const errorNumber = {
  EPERM: 1, ENOENT: 2, EIO: 5, EBADF: 9, EINVAL: 22, EMFILE: 24, EROFS: 30, EOPNOTSUPP: 95,
} as const;

/** Each takes a descriptor or two of the host; guests in use have some hundreds. */
const fidsMax = 16 * 1024;

export interface Fid {
  readonly file: SharedFile;
  opened: OpenedFile | undefined;
  /** Entries of a folder, read when the first are asked for. */
  entries: readonly { readonly name: string; readonly type: number }[] | undefined;
}

export class Fids {
  readonly #fids = new Map<number, Fid>();

  get(number: number): Fid {
    const fid = this.#fids.get(number);
    if (fid === undefined) {
      throw new FileRefusal(errorNumber.EBADF);
    }
    return fid;
  }

  /** Takes over the caller's hold on the file. */
  set(number: number, file: SharedFile): void {
    if (this.#fids.size >= fidsMax) {
      file.release();
      throw new FileRefusal(errorNumber.EMFILE);
    }
    this.drop(number);
    this.#fids.set(number, { file, opened: undefined, entries: undefined });
  }

  has(number: number): boolean {
    return this.#fids.has(number);
  }

  drop(number: number): void {
    const fid = this.#fids.get(number);
    this.#fids.delete(number);
    fid?.opened?.close();
    fid?.file.release();
  }

  clear(): void {
    for (const number of this.#fids.keys()) {
      this.drop(number);
    }
  }
}
