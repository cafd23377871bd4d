/** Points at the argument that is wrong: the command line once more, and a caret below it. */
import type { Problem } from "../base/errors.ts";
import { quoteWord } from "../formats/shell-words.ts";

/** Longer lines are cut around the place. */
const widthMax = 76;

/** What was wrong where, if the problem's message or `origin` tells an argument. */
export function caretLines(
  program: string, argv: readonly string[], problem: Problem, origin = "",
): readonly string[] {
  const [, number, letter = ""]
    = /argument ([0-9]+), -(.)/.exec(`${problem.message} ${origin}`) ?? [];
  const flagAt = Number(number) - 1;
  const flag = argv[flagAt];
  if (flag === undefined) {
    return [];
  }
  const letterAt = flag.indexOf(letter, 1);
  const inside = letterAt >= 0 && letterAt + 1 < flag.length;
  const wordAt = inside ? flagAt : Math.min(flagAt + 1, argv.length - 1);
  const word = argv[wordAt] ?? "";
  const argumentAt = inside ? letterAt + 1 : 0;
  const before = argv.slice(0, wordAt).map(quoteWord);
  const start = [program, ...before].join(" ").length + 1 + (quoteWord(word) === word ? 0 : 1)
    + offsetIn(word, argumentAt, problem);
  const line = [program, ...argv.map(quoteWord)].join(" ");
  return cut(line, start);
}

/** Where in the argument the wrong part stands; its beginning if that cannot be told. */
function offsetIn(word: string, from: number, { key, value, message }: Problem): number {
  if (word.startsWith(`${key}=`, from)) {
    return message.startsWith("is an unknown key") ? from : from + key.length + 1;
  }
  const last = key.split(".").at(-1) ?? "";
  const places = [value === undefined ? -1 : word.indexOf(value, from),
    last === "" ? -1 : word.indexOf(`,${last}`, from) + 1];
  const argument = value !== undefined && word.slice(from) === value;
  return argument ? from : places.find((place) => place > 0) ?? from;
}

function cut(line: string, at: number): readonly string[] {
  const first = Math.max(0, Math.min(at - widthMax / 2, line.length - widthMax));
  const shown = line.slice(first, first + widthMax).replaceAll("\n", " ");
  return [`  ${shown}`, `  ${" ".repeat(at - first)}^`];
}

/** Colour only for people: on a terminal, and without NO_COLOR (no-color.org). */
export function mayColour(environment: NodeJS.ProcessEnv, terminal: boolean): boolean {
  const refused = environment["NO_COLOR"];
  return terminal && (refused === undefined || refused === "") && environment["TERM"] !== "dumb";
}

export function red(text: string, colour: boolean): string {
  return colour ? `\u001b[31m${text}\u001b[0m` : text;
}
