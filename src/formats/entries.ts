/**
 * Settings in order, each with the place it came from, that remember who took them. Readers take
 * what they understand of a foreign text, writers what they can express of our keys; what nobody
 * took is the loss, so that no report can forget anything.
 */

export interface Entry {
  readonly key: string;
  readonly value: string;
  /** Where it stands: `file:line:column`, or an argument. */
  readonly at: string;
}

/** A setting that the other side cannot have. */
export interface Loss {
  readonly key: string;
  readonly value?: string;
  readonly reason: string;
  readonly at?: string;
}

interface Shared {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly taken: Set<string>;
}

export class Entries {
  readonly #shared: Shared;
  readonly #prefix: string;

  /** Of equal keys the last counts. */
  constructor(from: Iterable<Entry> | Shared, prefix = "") {
    this.#shared = "taken" in from ? from : {
      entries: new Map([...from].map((each) => [each.key, each])), taken: new Set(),
    };
    this.#prefix = prefix;
  }

  /** The entry, untouched. */
  entry(key: string): Entry | undefined {
    return this.#shared.entries.get(this.#prefix + key);
  }

  /** The value, untouched. */
  peek(key: string): string | undefined {
    return this.entry(key)?.value;
  }

  /** The value, which has found its counterpart. */
  take(key: string): string | undefined {
    const found = this.entry(key);
    if (found) {
      this.#shared.taken.add(found.key);
    }
    return found?.value;
  }

  /** Takes several, wanted or not: they say nothing, or nothing new. */
  pass(...keys: readonly string[]): void {
    keys.forEach((key) => this.take(key));
  }

  /** Those whose keys begin with `prefix`, by the rest of their keys. */
  under(prefix: string): Entries {
    return new Entries(this.#shared, this.#prefix + prefix);
  }

  /** First names of the keys, up to `separator`, in order and once each. */
  names(separator = "."): readonly string[] {
    return [...new Set(this.all().map(({ key }) => key.split(separator, 1)[0] ?? ""))];
  }

  /** All, taken or not, by the rest of their keys. */
  all(): readonly Entry[] {
    return [...this.#shared.entries.values()]
      .filter(({ key }) => key.startsWith(this.#prefix))
      .map((each) => ({ ...each, key: each.key.slice(this.#prefix.length) }));
  }

  /** Where the first of them stands. */
  at(): string {
    return this.all()[0]?.at ?? "";
  }

  takeAll(): void {
    this.pass(...this.all().map(({ key }) => key));
  }

  /** What nobody took, by the full keys. */
  left(): readonly Entry[] {
    return [...this.#shared.entries.values()]
      .filter(({ key }) => key.startsWith(this.#prefix) && !this.#shared.taken.has(key));
  }
}

/** What nobody took, as losses. */
export function lossesOf(entries: Entries, reason: string): readonly Loss[] {
  return entries.left().map(({ key, value, at }) => ({ key, value, at, reason }));
}
