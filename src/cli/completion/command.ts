/** `completion SHELL` prints a script; `complete -- words` is what the script asks. */
import { exitStatus } from "../../base/errors.ts";
import { program } from "../command-line.ts";
import type { Console } from "../main.ts";
import { completionScript, shells } from "./scripts.ts";
import { candidatesFor } from "./words.ts";
import type { Candidates } from "./words.ts";

export function completion(
  words: readonly string[], console: Console, name: string = program,
): number {
  const shell = shells.find((each) => each === words[0]);
  if (!shell || words.length > 1) {
    console.error(`usage: ${name} completion ${shells.join("|")}\n`);
    return exitStatus.powerOff;
  }
  console.out(completionScript(shell, name));
  return 0;
}

export function complete(words: readonly string[], console: Console): number {
  console.out(answerText(candidatesFor(words[0] === "--" ? words.slice(1) : words)));
  return 0;
}

/** Words that end first, then `:open` and those that go on. */
export function answerText({ words, files }: Candidates): string {
  const lines = (open: boolean) => words.filter((each) => (each.open ?? false) === open)
    .map(({ word, help }) => help === "" ? word : `${word}\t${help}`);
  const going = lines(true);
  return [...lines(false), ...(going.length > 0 ? [":open", ...going] : []),
    ...(files ? [":files"] : [])].map((line) => `${line}\n`).join("");
}
