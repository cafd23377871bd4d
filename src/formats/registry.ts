/** All formats by name, and a guess from a file's name. A new format adds a line. */
import { bhyveArgv } from "./bhyve-argv.ts";
import { firecracker } from "./firecracker.ts";
import { flat } from "./flat.ts";
import type { Format } from "./format.ts";
import { json } from "./json.ts";
import { libvirt } from "./libvirt.ts";
import { propolis } from "./propolis.ts";
import { qemuArgv } from "./qemu-argv.ts";
import { ucl } from "./ucl/format.ts";
import { vmBhyve } from "./vm-bhyve.ts";
import { vmx } from "./vmx.ts";
import { xl } from "./xl.ts";

export const formats: readonly Format[] = [
  bhyveArgv, flat, ucl, json, libvirt, vmBhyve, xl, vmx, qemuArgv, firecracker, propolis,
];

/** What a text says of itself, in its first line with anything in it. */
const beginnings: readonly (readonly [RegExp, Format])[] = [
  [/^\s*<(\?xml|domain|!--)/, libvirt],
  [/^\s*\{[^]*"(boot-source|machine-config)"/, firecracker],
  [/^\s*\{\s*("|\})/, json],
  [/^(#[^\n]*\n|\s)*(\S*\/)?qemu(-system|-kvm)/, qemuArgv],
  [/^(#[^\n]*\n|\s)*(sudo )?(\S*\/)?(ts)?bhyve\s/, bhyveArgv],
  [/^(\s*#[^\n]*\n|\s)*\[main\]/, propolis],
  [/^(#[^\n]*\n|\n)*[\w.%]+=(?!["'\s])/, flat],
  [/^(loader|cpu|memory|disk0_type)="/m, vmBhyve],
];

/** Endings that say less than the text does. */
const sharedEndings = new Set([".conf", ".json", ".sh", ".cmd"]);

/** The format that the file's name or its text suggests. */
export function guessFormat(name: string, text: string): Format | undefined {
  const byName = formats.find(({ endings }) => endings.some((end) => name.endsWith(end)
    && !sharedEndings.has(end)));
  return byName ?? beginnings.find(([pattern]) => pattern.test(text.slice(0, 64 * 1024)))?.[1]
    ?? formats.find(({ endings }) => endings.some((end) => name.endsWith(end)));
}
