/** A folder of its own for a test file; it goes away after the last test. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "./harness.ts";

export interface TestFolder {
  readonly path: string;
  file(name: string): string;
  /** Creates a file with this content. */
  put(name: string, content: Uint8Array | string): string;
}

export function testFolder(): TestFolder {
  const path = mkdtempSync(join(tmpdir(), "tsbhyve-test-"));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  const file = (name: string) => join(path, name);
  const put = (name: string, content: Uint8Array | string) => {
    writeFileSync(file(name), content);
    return file(name);
  };
  return { path, file, put };
}
