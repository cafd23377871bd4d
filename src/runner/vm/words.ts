/** What may follow in a command line of tsvm. */
import type { Candidates } from "../../cli/completion/words.ts";
import { machineNames } from "./folders.ts";
import { imageNames } from "./images.ts";
import { switchNames } from "./switches.ts";
import { verbs } from "./verbs.ts";

/** Candidates for the last of `words`, which may be empty. */
export function candidatesFor(root: string, words: readonly string[]): Candidates {
  const current = words.at(-1) ?? "";
  const found = rawCandidates(root, words, current);
  return { ...found, words: found.words.filter(({ word }) => word.startsWith(current)) };
}

function rawCandidates(root: string, words: readonly string[], current: string): Candidates {
  const named = (list: readonly string[], files = false): Candidates =>
    ({ words: list.map((word) => ({ word, help: "" })), files });
  const verb = verbs.find(({ name }) => name === words[0]);
  if (words.length < 2 || !verb) {
    return words.length < 2 ? { files: false, words: verbs.filter(({ hidden }) => !hidden)
      .map(({ name, help }) => ({ word: name, help })) } : named([]);
  }
  if (current.startsWith("--")) {
    return named([...verb.table.values, ...verb.table.switches].map((name) => `--${name}`));
  }
  const before = words.at(-2) ?? "";
  if (["--from", "--kernel", "--initrd", "--rom"].includes(before)) {
    return named([], true);
  }
  switch (verb.name) {
    case "run": return named([], words.length === 2);
    case "create": return named(before === "--image" ? imageNames(root) : []);
    case "image": return words.length === 2
      ? named(["import", "convert", "resize", "list", "remove"])
      : named(imageNames(root), words[1] === "import" || words[1] === "convert");
    case "switch": return named(words.length === 2 ? ["create", "destroy", "list"]
      : words[1] === "destroy" ? switchNames() : []);
    case "completion": return named(["bash", "zsh", "fish"]);
    default: return named(verb.usage.startsWith("NAME") && words.length === 2
      ? machineNames(root) : []);
  }
}
