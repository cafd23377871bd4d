/** Manual pages in mdoc(7), from plain data. */

export interface ManualItem {
  /** The tag: a flag and its argument, a key, a status. */
  readonly tag: Tag;
  readonly text: string;
}

export type Tag =
  | { readonly kind: "flag"; readonly letter: string; readonly argument?: string }
  | { readonly kind: "word"; readonly text: string };

export interface ManualSection {
  readonly title: string;
  /** Paragraphs, then items. */
  readonly text?: readonly string[];
  readonly items?: readonly ManualItem[];
  readonly examples?: readonly string[];
}

export interface ManualPage {
  readonly name: string;
  readonly section: number;
  readonly summary: string;
  /** Lines of the synopsis in mdoc's macros. */
  readonly synopsis: readonly string[];
  readonly sections: readonly ManualSection[];
  readonly seeAlso: readonly (readonly [name: string, section: number])[];
}

/** A page says when it was last changed; the tables say it by this day. */
const pageDate = "November 25, 2026";
const lineMax = 78;

/** Text that roff passes through: no control lines, escapes doubled. */
export function roff(text: string): string {
  return text.replaceAll("\\", "\\e").replace(/^([.'])/gm, "\\&$1").replaceAll("-", "\\-");
}

/** Sentences begin new lines, and no line is long: both are wanted of mdoc. */
function paragraph(text: string): string {
  const sentences = roff(text).replace(/([.;:!?]) (?=\S)/g, (whole, mark) =>
    mark === "." ? `${mark}\n` : whole);
  return sentences.split("\n").flatMap(wrap).map((line) => line.replace(/^([.'])/, "\\&$1"))
    .join("\n");
}

function wrap(line: string): readonly string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ").filter((each) => each !== "")) {
    if (current !== "" && current.length + word.length + 1 > lineMax) {
      lines.push(current);
      current = word;
    } else {
      current = current === "" ? word : `${current} ${word}`;
    }
  }
  return current === "" ? lines : [...lines, current];
}

/** Arguments of macros: a word that looks like a macro or punctuation is protected. */
function argument(text: string): string {
  const safe = roff(text).replaceAll("\"", "\\(dq");
  return /\s/.test(safe) ? `"${safe}"` : /^([A-Z][a-z]|.)$/.test(safe) ? `\\&${safe}` : safe;
}

function tagLine(tag: Tag): string {
  return tag.kind === "word" ? `.It Li ${argument(tag.text)}`
    : `.It Fl ${tag.letter}${tag.argument === undefined ? "" : ` Ar ${argument(tag.argument)}`}`;
}

function sectionText({ title, text = [], items = [], examples = [] }: ManualSection): string {
  return [
    `.Sh ${title}`,
    ...text.map((each, index) => (index === 0 ? "" : ".Pp\n") + paragraph(each)),
    ...(items.length === 0 ? [] : [".Bl -tag -width indent",
      ...items.map(({ tag, text: body }) => `${tagLine(tag)}\n${paragraph(body)}`), ".El"]),
    ...examples.flatMap((each, index) => [...(text.length + index === 0 ? [] : [".Pp"]),
      `.Dl ${roff(each)}`]),
  ].join("\n");
}

export function manualText(page: ManualPage): string {
  const { name, section, summary, synopsis, sections, seeAlso } = page;
  return `${[
    ".\\\" Made from the program's tables; a test compares.",
    `.Dd ${pageDate}`, `.Dt ${name.toUpperCase()} ${section}`, ".Os",
    ".Sh NAME", `.Nm ${name}`, `.Nd ${summary}`,
    ...(synopsis.length === 0 ? [] : [".Sh SYNOPSIS", ...synopsis]),
    ...sections.map(sectionText),
    ".Sh SEE ALSO",
    ...seeAlso.map(([other, number], index) =>
      `.Xr ${other} ${number}${index + 1 < seeAlso.length ? " ," : ""}`),
  ].join("\n")}\n`;
}
