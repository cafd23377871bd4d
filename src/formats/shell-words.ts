/** Command lines as a POSIX shell splits them (XCU 2.2 and 2.3): quotes, escapes, comments. */
import type { Source } from "./source.ts";

export interface Word {
  readonly text: string;
  readonly offset: number;
}

const operators = new Set(["|", "&", ";", "<", ">", "(", ")", "`"]);

/** The words of one command; throws ConfigError for what only a shell could know. */
export function shellWords(source: Source): readonly Word[] {
  const { text } = source;
  const found: Word[] = [];
  let at = 0;
  while (at < text.length) {
    const letter = text.charAt(at);
    if (/\s/.test(letter)) {
      at += 1;
    } else if (text.startsWith("\\\n", at)) {
      at += 2;
    } else if (letter === "#") {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else {
      source.countValue(at);
      const word = readWord(source, at);
      found.push({ text: word.text, offset: at });
      at = word.end;
    }
  }
  return found;
}

function readWord(source: Source, start: number): { text: string; end: number } {
  const { text } = source;
  let word = "";
  let at = start;
  while (at < text.length && !/\s/.test(text.charAt(at))) {
    const letter = text.charAt(at);
    if (letter === "'" || letter === "\"") {
      const quoted = readQuoted(source, at, letter);
      word += quoted.text;
      at = quoted.end;
    } else if (letter === "\\") {
      if (text.charAt(at + 1) !== "\n") {
        word += text.charAt(at + 1);
      }
      at += 2;
    } else if (operators.has(letter) || (letter === "$" && /[\w{(]/.test(text.charAt(at + 1)))) {
      throw source.error(at, `${letter} means something to the shell; allowed: plain words, or '${
        letter}' in single quotes`);
    } else {
      word += letter;
      at += 1;
    }
  }
  return { text: word, end: at };
}

function readQuoted(source: Source, start: number, quote: string): { text: string; end: number } {
  const { text } = source;
  let word = "";
  for (let at = start + 1; at < text.length; at += 1) {
    const letter = text.charAt(at);
    if (letter === quote) {
      return { text: word, end: at + 1 };
    }
    if (quote === "\"" && letter === "\\" && /[$`"\\\n]/.test(text.charAt(at + 1))) {
      at += 1;
      word += text.charAt(at) === "\n" ? "" : text.charAt(at);
    } else if (quote === "\"" && (letter === "`" || (letter === "$"
      && /[\w{(]/.test(text.charAt(at + 1))))) {
      throw source.error(at, `${letter} means something to the shell; allowed: single quotes`);
    } else {
      word += letter;
    }
  }
  throw source.error(start, `${quote} is not closed`);
}

/** A word as a shell reads it back. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** One command over several lines: a flag and its argument stay together. */
export function commandText(groups: readonly (readonly string[])[]): string {
  return `${groups.map((group) => group.map(quoteWord).join(" ")).join(" \\\n  ")}\n`;
}
