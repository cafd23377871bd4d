/**
 * BSD getopt(3): the first operand ends the options, `--` too, and flags may be bundled. A few
 * long options of our own are known by their whole name; any other is the illegal option `-`.
 */
export type Step =
  | { readonly kind: "flag"; readonly letter: string; readonly argument: string; index: number }
  | { readonly kind: "long"; readonly name: string; readonly index: number }
  | { readonly kind: "illegal"; readonly letter: string }
  | { readonly kind: "missing"; readonly letter: string };

/** `spec` as for getopt(3): letters, each followed by `:` if it takes an argument. */
export function* getopt(
  argv: readonly string[], spec: string, longs: ReadonlySet<string>,
): Generator<Step, number> {
  let index = 0;
  for (; index < argv.length; index += 1) {
    const word = argv[index] ?? "";
    if (!word.startsWith("-") || word === "-") {
      return index;
    }
    if (word === "--") {
      return index + 1;
    }
    if (longs.has(word)) {
      yield { kind: "long", name: word, index };
      continue;
    }
    for (let at = 1; at < word.length; at += 1) {
      const letter = word.charAt(at);
      const known = letter === ":" ? -1 : spec.indexOf(letter);
      if (known < 0) {
        yield { kind: "illegal", letter };
      } else if (spec.charAt(known + 1) !== ":") {
        yield { kind: "flag", letter, argument: "", index };
      } else if (at + 1 < word.length) {
        yield { kind: "flag", letter, argument: word.slice(at + 1), index };
        break;
      } else if (index + 1 < argv.length) {
        index += 1;
        yield { kind: "flag", letter, argument: argv[index] ?? "", index: index - 1 };
        break;
      } else {
        yield { kind: "missing", letter };
      }
    }
  }
  return index;
}
