/** The words behind `npm start --`. */
import { ConfigError, exitStatus } from "../base/errors.ts";
import { nearest } from "../config/suggest.ts";

export const startHelp = `usage: npm start [-- OPTION...]
Boots Debian's kernel to a shell on the serial console; ~. or Ctrl-A x leave it.
  --check     run the guest's own check without a terminal; status 0 only if it passed
  --prepare   fetch and make what a start needs, print where it is, and start nothing
  --update    ask apt for newer packages first
  --builtin   start the built-in guest even where Debian's packages can be had
  --help      print this
`;

const words = ["check", "prepare", "update", "builtin", "help"] as const;
type Word = (typeof words)[number];

export type StartOptions = { readonly [word in Word]: boolean };

/** Throws ConfigError on a word that is none of ours. */
export function readStartOptions(argv: readonly string[]): StartOptions {
  const given = new Set(argv.map((word) => word.replace(/^--/, "")));
  const allowed: readonly string[] = words;
  const wrong = argv.filter((word) => !word.startsWith("--") || !allowed.includes(word.slice(2)));
  if (wrong.length > 0) {
    throw new ConfigError(wrong.map((word) => {
      const near = nearest(word.replace(/^-+/, ""), words);
      const hint = near === undefined ? "" : `; did you mean --${near}?`;
      const all = words.map((each) => `--${each}`).join(", ");
      return { key: word, message: `is no option of npm start; allowed: ${all}${hint}` };
    }), exitStatus.usage);
  }
  return {
    check: given.has("check"), prepare: given.has("prepare"), update: given.has("update"),
    builtin: given.has("builtin"), help: given.has("help"),
  };
}
