/** What every format is: a reader and a writer between a text and our flat keys. */
import type { Entries, Entry, Loss } from "./entries.ts";
import type { Source } from "./source.ts";

/** What a reader may need beside the text. */
export interface ReadOptions {
  /** Which machine of a text that describes several; also its name where the text has none. */
  readonly machine?: string;
  /** Reads a file named by the text, by the path there; throws ConfigError if it may not be had. */
  readonly include?: (path: string, from: Source) => Source;
  /** The text of a `-k` file. */
  readonly readFile?: (path: string) => string;
  /** Variables that a text may use. */
  readonly variables?: ReadonlyMap<string, string>;
}

export interface ReadResult {
  /** Our keys in order. */
  readonly entries: readonly Entry[];
  /** What the text says and our keys cannot. */
  readonly losses: readonly Loss[];
}

export interface WriteResult {
  readonly text: string;
  /** Reasons for what is left out, where the writer knows one. */
  readonly losses: readonly Loss[];
}

export interface Format {
  readonly name: string;
  readonly help: string;
  /** Ends of file names by which the format is guessed. */
  readonly endings: readonly string[];
  /** Whether `%(name)` stays as it is; the others get values with everything put in. */
  readonly keepsReferences: boolean;
  /** Throws ConfigError with the place of what is wrong. */
  read(source: Source, options: ReadOptions): ReadResult;
  /** Takes what it can express of `ours`; the caller reports what is left. */
  write(ours: Entries): WriteResult;
}
