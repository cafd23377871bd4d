/** The usage text, one screen, and the list of all flags: both made from the table of flags. */
import { flags } from "../config/legacy-flags.ts";
import type { Flag } from "../config/legacy-flags.ts";

const helpColumn = 16;
/** The flags that people use; the others are named and found by `tsbhyve help flags`. */
const commonFlags = "cfHklmosSUuw";

function row(name: string, help: string): string {
  return `  ${name.padEnd(helpColumn)}${help}`;
}

function flagRow({ letter, argument, help }: Flag): string {
  return row(argument === undefined ? `-${letter}` : `-${letter} ${argument}`, help);
}

/** At most 24 lines of 80 columns: a test holds it. */
export function usage(): string {
  const common = flags.filter(({ letter }) => commonFlags.includes(letter));
  const others = flags.filter(({ letter }) => !commonFlags.includes(letter))
    .map(({ letter }) => `-${letter}`);
  return [
    "usage: tsbhyve [flags] [-o key=value ...] name",
    "       tsbhyve help [device | key | flags]",
    "       tsbhyve config check|translate|diff|explain|schema|fmt ...",
    "       tsbhyve doctor [--json]",
    "       tsbhyve serve nbd -o path=disk -o socket=path [-o key=value ...]",
    "",
    ...common.map(flagRow),
    row("--dry-run", "check everything and print the machine's maps"),
    row("--help", "print this text; --version prints the version"),
    `also as in bhyve(8): ${others.join(" ")}`,
    "",
  ].join("\n");
}

/** Every flag, for `tsbhyve help flags`. */
export function flagHelp(): string {
  return `${flags.map(flagRow).join("\n")}\n`;
}
