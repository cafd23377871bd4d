/** The corpus: descriptions as people have them, and beside each its flat form. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../support/paths.ts";

export interface Sample {
  /** File name below the samples, the machine's name first. */
  readonly name: string;
  readonly path: string;
  readonly text: string;
  readonly flatPath: string;
}

const folder = join(repositoryRoot, "test", "formats", "samples");

/** Samples of one format: the folder of that name. */
export function samplesOf(format: string): readonly Sample[] {
  const own = join(folder, format);
  return (existsSync(own) ? readdirSync(own).toSorted() : [])
    .filter((name) => !name.endsWith(".expected"))
    .map((name) => ({ name, path: join(own, name), text: readFileSync(join(own, name), "utf8"),
      flatPath: join(own, `${name}.expected`) }));
}
