/** The usage text, made from the table of flags. */
import { flags } from "../config/legacy-flags.ts";

const helpColumn = 18;

export function usage(): string {
  const lines = [
    "usage: tsbhyve [flags] [-o key=value ...] name",
    "       tsbhyve --dry-run [flags] [-o key=value ...] name",
    "       tsbhyve help [device | key]",
    "       tsbhyve doctor [--json]",
    "       tsbhyve serve nbd -o path=disk -o socket=path [-o key=value ...]",
    "",
  ];
  for (const { letter, argument, help } of flags) {
    const flag = argument === undefined ? `-${letter}` : `-${letter} ${argument}`;
    lines.push(`  ${flag.padEnd(helpColumn)}${help}`);
  }
  lines.push(
    `  ${"--dry-run".padEnd(helpColumn)}check the configuration and print the machine's maps`,
    `  ${"--help".padEnd(helpColumn)}print this text`,
    `  ${"--version".padEnd(helpColumn)}print the version`,
  );
  return `${lines.join("\n")}\n`;
}
