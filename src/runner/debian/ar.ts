/** Reads `ar` archives, the outermost layer of a Debian package: ar(5), deb(5). */

const magic = "!<arch>\n";
const headerBytes = 60;
const headerEnd = "`\n";

export interface ArMember {
  readonly name: string;
  readonly content: Uint8Array;
}

export function isAr(archive: Uint8Array): boolean {
  return text(archive, 0, magic.length) === magic;
}

/** The members in order; throws if the archive is no archive or ends too early. */
export function readAr(archive: Uint8Array): readonly ArMember[] {
  if (!isAr(archive)) {
    throw new Error("not an ar archive: it does not begin with !<arch>");
  }
  const members: ArMember[] = [];
  let at = magic.length;
  while (at < archive.length) {
    if (text(archive, at + headerBytes - 2, 2) !== headerEnd) {
      throw new Error(`the ar archive has no member header at byte ${at}`);
    }
    // System V writers end the name with a slash; dpkg-deb does not.
    const name = text(archive, at, 16).trimEnd().replace(/\/$/, "");
    const size = text(archive, at + 48, 10).trimEnd();
    const start = at + headerBytes;
    const end = start + Number(size);
    if (!/^\d+$/.test(size) || end > archive.length) {
      const left = archive.length - start;
      throw new Error(`the ar member ${name} claims ${size} bytes, ${left} are left`);
    }
    members.push({ name, content: archive.subarray(start, end) });
    at = end + (end % 2); // Members begin at even offsets.
  }
  return members;
}

function text(bytes: Uint8Array, at: number, length: number): string {
  return Buffer.from(bytes.subarray(at, at + length)).toString("latin1");
}
