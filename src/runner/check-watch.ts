/** Watches a guest's serial output for the result of its own check. */

export interface Expected {
  readonly nonce: string;
  /** The sum of what the guest must have read back: known here, computed there. */
  readonly sum: string;
}

export type Verdict =
  | { readonly kind: "none" }
  | { readonly kind: "passed" }
  | { readonly kind: "failed"; readonly why: string };

const keptLines = 20;
const lineBytesMax = 4096; // A guest that prints no line end must not fill our memory.

export class CheckWatch {
  readonly #expected: Expected;
  #line = "";
  #last: string[] = [];
  #verdict: Verdict = { kind: "none" };

  constructor(expected: Expected) {
    this.#expected = expected;
  }

  take(text: string): void {
    const lines = (this.#line + text).split(/\r*\n/);
    this.#line = (lines.pop() ?? "").slice(-lineBytesMax);
    for (const line of lines) {
      this.#judge(line);
      this.#last.push(line.slice(0, lineBytesMax));
    }
    this.#last = this.#last.slice(-keptLines);
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** The end of what the guest said, for a person who must find out why it said no more. */
  lastLines(): readonly string[] {
    return [...this.#last, this.#line].filter((line) => line.trim() !== "");
  }

  #judge(line: string): void {
    const [, result, rest = ""] = /tsbhyve-check: (PASS|FAIL) ?(.*)$/.exec(line) ?? [];
    if (result === undefined || this.#verdict.kind === "failed") {
      return;
    }
    const [nonce = "", sum = ""] = rest.trim().split(/\s+/);
    const expected = this.#expected;
    if (result === "FAIL") {
      this.#verdict = { kind: "failed", why: `the guest says: ${rest.trim()}` };
    } else if (nonce !== expected.nonce) {
      this.#verdict = {
        kind: "failed", why: `the guest passed a check ${nonce}, not ours (${expected.nonce})`,
      };
    } else if (sum !== expected.sum) {
      this.#verdict = {
        kind: "failed", why: `the guest read back ${sum}; the right sum is ${expected.sum}`,
      };
    } else {
      this.#verdict = { kind: "passed" };
    }
  }
}
