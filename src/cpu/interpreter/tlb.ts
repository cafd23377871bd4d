/** The soft TLB (see ../layout.ts) as code outside the generated module sees it. */
import { emptyTag, tlbArrayBytes } from "../layout.ts";

/**
 * Empties one array of entries. A tag of ones is near every address of the last page, which looks
 * for itself in the last entry: that one gets the tag of page 0, which never looks there.
 */
export function emptyTlbArray(bytes: Uint8Array, start: number): void {
  const end = start + tlbArrayBytes;
  bytes.fill(emptyTag, start, end);
  bytes.fill(0, end - 16, end - 8);
}
