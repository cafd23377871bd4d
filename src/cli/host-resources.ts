/** What of the host a machine would take: files, sockets, terminals, interfaces. */
import type { Configuration } from "../config/configuration.ts";
import { describeBytes } from "../config/options.ts";
import { moduleFiles } from "../config/boot-modules.ts";
import { readBool } from "../config/values.ts";
import type { PlannedFunction } from "../machine/plan.ts";

/** Last names of keys below functions whose values are things of the host. */
const things = new Map([
  ["path", "opens"], ["overlay", "writes"], ["backend", "uses"], ["dev", "opens"],
  ["rom", "reads"], ["play", "opens"], ["rec", "opens"], ["rfb", "listens on"],
]);

/** Lines under a heading. */
export function hostResources(
  { globals }: Configuration, functions: readonly PlannedFunction[],
): string[] {
  const files = [["boot.kernel", globals.kernel], ["boot.initrd", globals.initrd],
    ["bootrom", globals.bootRom],
    ...moduleFiles(globals.modules).map(({ path }) => ["boot.modules", path] as const)] as const;
  const bridge = functions.some(({ device }) => device === "lpc");
  const lines = bridge ? [globals.com1, globals.com2, globals.com3, globals.com4] : [];
  return [
    "Of the host:", `  memory    ${describeBytes(globals.memoryBytes)}`,
    ...files.flatMap(([key, path]) => path === undefined ? [] : [row("reads", path, key)]),
    ...lines.flatMap((path, index) => path === undefined ? []
      : [row("opens", path, `lpc.com${index + 1}.path`)]),
    ...functions.flatMap(ofFunction),
  ];
}

function row(verb: string, what: string, key: string): string {
  return `  ${verb.padEnd(9)} ${what}  (${key})`;
}

function ofFunction({ key, device, values }: PlannedFunction): string[] {
  return Object.entries(values).flatMap(([name, value]) => {
    const last = name.split(".").at(-1) ?? "";
    const verb = things.get(last);
    if (verb === undefined || value === "") {
      return [];
    }
    const isDisk = last === "path" && /^(virtio-blk|nvme|ahci)$/.test(device);
    const node = name.slice(0, -last.length);
    const readOnly = readBool(values[`${node}ro`] ?? "false");
    const written = isDisk && values[`${node}overlay`] === undefined
      && !("value" in readOnly && readOnly.value);
    return [row(isDisk ? written ? "writes" : "reads" : verb, value, `${key}.${name}`)];
  });
}
