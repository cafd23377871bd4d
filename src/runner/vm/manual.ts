/** The manual page tsvm(8), from the table of verbs. */
import type { ManualPage } from "../../cli/manual/mdoc.ts";
import { verbs } from "./verbs.ts";

const word = (text: string) => ({ kind: "word", text }) as const;

export const runnerPage: ManualPage = {
  name: "tsvm", section: 8, summary: "keep machines of tsbhyve in folders and run them",
  synopsis: [".Nm", ".Ar verb ..."],
  sections: [
    { title: "DESCRIPTION", text: [
      "A machine is one folder: its keys, its disks, its snapshots and its log. No daemon looks "
      + "after machines. Beside each one that runs there is one process that starts it again after "
      + "a reboot and removes what was made for it. Whether a machine runs is seen from these "
      + "processes.",
      "The verbs are as follows:"],
    items: verbs.filter(({ hidden }) => !hidden).map(({ name, usage, help, table }) => ({
      tag: word(`${name} ${usage}`.trim()), text: `${help}.${optionsText(table)}` })) },
    { title: "ENVIRONMENT", items: [
      { tag: word("TSVM_ROOT"), text: "Folder of all machines; without it a folder of the user's "
        + "data." }] },
    { title: "FILES", items: [
      { tag: word("machine.flat"), text: "The keys of the machine." },
      { tag: word("com1.sock"), text: "Its serial line while it runs." },
      { tag: word("log"), text: "What the program has said." },
      { tag: word("pid"), text: "The process beside the machine; machine.pid is the machine." },
      { tag: word("snapshots"), text: "Copies of disks, a folder each." }] },
    { title: "EXIT STATUS", items: [
      { tag: word("0"), text: "It is done; run ends with the status of the machine." },
      { tag: word("1"), text: "Wrong use, or there is no such machine." },
      { tag: word("4"), text: "An error." }] },
    { title: "EXAMPLES", examples: [
      "tsvm create web --kernel vmlinuz --disk 4G", "tsvm start web", "tsvm console web",
      "tsvm stop web"], text: ["A machine in the background, and its console:"] },
  ],
  seeAlso: [["tsbhyve_config", 5], ["tsbhyve", 8]],
};

function optionsText({ values, switches }: { values: readonly string[];
  switches: readonly string[]; }): string {
  const all = [...values.map((name) => `--${name} VALUE`), ...switches.map((name) => `--${name}`)];
  return all.length === 0 ? "" : ` Options: ${all.join(", ")}.`;
}
