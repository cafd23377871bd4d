/** The manual pages, from the tables that the programs read. */
import { keysOf } from "../../config/known-keys.ts";
import { flags } from "../../config/legacy-flags.ts";
import type { LeafOption, Schema } from "../../config/options.ts";
import { functionSchema, keyReaders } from "../../config/schema.ts";
import { formats } from "../../formats/registry.ts";
import { deviceSchemas } from "../../machine/registry.ts";
import { configVerbTable } from "../config/command.ts";
import { defaultText, deviceSummary } from "../help.ts";
import type { ManualItem, ManualPage, ManualSection } from "./mdoc.ts";

const word = (text: string) => ({ kind: "word", text }) as const;

const statuses: readonly ManualItem[] = [
  { tag: word("0"), text: "The guest was reset, or the command has done what it was asked." },
  { tag: word("1"), text: "The guest was powered off; also wrong use, and config.dump." },
  { tag: word("2"), text: "The guest was halted." },
  { tag: word("3"), text: "A triple fault." },
  { tag: word("4"), text: "An error: the configuration cannot run, or the host refused." },
  { tag: word("64"), text: "The argument of a flag is wrong." },
  { tag: word("71"), text: "There are more virtual CPUs than can be had." },
];

export const programPage: ManualPage = {
  name: "tsbhyve", section: 8, summary: "run a guest operating system inside a virtual machine",
  synopsis: [
    ".Nm", ".Op Fl Ar flags", ".Op Fl o Ar key Ns = Ns Ar value", ".Ar name",
    ".Nm", ".Fl \\-dry-run", ".Op Fl Ar flags", ".Ar name",
    ".Nm", ".Cm help", ".Op Ar device | key | Cm flags",
    ".Nm", ".Cm config", ".Ar verb ...",
    ".Nm", ".Cm doctor", ".Op Fl \\-json",
    ".Nm", ".Cm completion", ".Cm bash | zsh | fish",
  ],
  sections: [
    { title: "DESCRIPTION", text: [
      "The program builds a PC out of device models and runs a guest on it. A machine is described "
      + "by keys, which the flags set in the order of the command line; the operand sets the name. "
      + "The flags are those of bhyve(8), and every one of them is short for keys.",
      "The flags are as follows:"],
    items: flags.map(({ letter, argument, help }) => ({
      tag: { kind: "flag", letter, ...(argument !== undefined && { argument }) },
      text: `${help}.` })) },
    { title: "DESCRIPTIONS OF MACHINES", text: [
      `Machines may be described in these formats: ${formats.map(({ name, help }) =>
        `${name} (${help})`).join(", ")}. The verbs of config are as follows:`],
    items: configVerbTable.map(({ usage, help }) => ({ tag: word(usage), text: `${help}.` })) },
    { title: "SIGNALS", text: [
      "SIGTERM and SIGINT press the guest's power button; a second one ends the machine."] },
    { title: "ENVIRONMENT", items: [
      { tag: word("NO_COLOR"),
        text: "If it is set, nothing is coloured, not even on terminals." }] },
    { title: "EXIT STATUS", items: statuses },
    { title: "EXAMPLES", text: ["A machine with a kernel of its own, a disk and a serial line:"],
      examples: ["tsbhyve -m 512 -o boot.kernel=vmlinuz -s 0,hostbridge "
        + "-s 3,virtio-blk,disk.img -s 31,lpc -l com1,stdio vm0"] },
  ],
  seeAlso: [["tsbhyve_config", 5], ["tsvm", 8]],
};

function keyItems(schema: Schema, leaveOut: ReadonlySet<string>): readonly ManualItem[] {
  return [...keysOf(schema)].filter(({ key }) => !leaveOut.has(key))
    .map(({ key, option }) => ({ tag: word(key), text: keyText(option) }));
}

function keyText(option: LeafOption<unknown>): string {
  const standard = option.required ? " Required."
    : option.default === undefined || option.default === "" ? ""
    : ` Default: ${defaultText(option)}.`;
  const old = option.aliases.length === 0 ? "" : ` Old names: ${option.aliases.join(", ")}.`;
  const pending = option.pending ? " It has no effect yet." : "";
  return `${option.help} Allowed: ${option.allowed}.${standard}${old}${pending} Since ${
    option.since}.`;
}

function deviceSections(): readonly ManualSection[] {
  const common = new Set([...keysOf(functionSchema)].map(({ key }) => key));
  return [...deviceSchemas].map(([name, device]) => {
    const items = keyItems(device.options, common);
    return { title: `DEVICE ${name}`, items,
      text: [deviceSummary(device) + (items.length === 0 ? " It has no keys of its own." : "")] };
  });
}

export const configPage: ManualPage = {
  name: "tsbhyve_config", section: 5, summary: "configuration keys of tsbhyve", synopsis: [],
  sections: [
    { title: "DESCRIPTION", text: [
      "A machine is one tree of keys with values of text. A file has one key=value a line; nothing "
      + "is trimmed, and a # in the first column starts a comment.",
      "%(key) in a value stands for the value of another key and is put in when the value is read. "
      + "The rules are those of bhyve_config(5)."] },
    ...[...keyReaders].map(([reader, schema]) => ({
      title: `KEYS OF ${reader.replace(/^the /, "").toUpperCase()}`,
      items: keyItems(schema, new Set()) })),
    { title: "KEYS OF EVERY PCI FUNCTION", text: ["Below pci.BUS.SLOT.FUNCTION:"],
      items: keyItems(functionSchema, new Set()) },
    ...deviceSections(),
  ],
  seeAlso: [["tsbhyve", 8]],
};
