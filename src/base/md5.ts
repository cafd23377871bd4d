/** MD5, which bhyve derives serial numbers, addresses and identifiers from. Not for security. */
import { createHash } from "node:crypto";

export function md5(text: string): Uint8Array {
  return createHash("md5").update(text).digest();
}
