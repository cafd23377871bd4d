/**
 * `docs/config.md` and the manual page tsbhyve_config(5) list every key, made from the schemas:
 * this test makes the lists anew and compares. `UPDATE=1` writes them.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manualText } from "../../src/cli/manual/mdoc.ts";
import { configPage } from "../../src/cli/manual/pages.ts";
import { defaultText, deviceSummary } from "../../src/cli/help.ts";
import { keysOf } from "../../src/config/known-keys.ts";
import type { LeafOption } from "../../src/config/options.ts";
import { functionSchema, globalSchema } from "../../src/config/schema.ts";
import { deviceSchemas } from "../../src/machine/registry.ts";
import { assert, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const file = join(repositoryRoot, "docs", "config.md");
const marker = "<!-- The rest is made from the schemas by test/cli/reference.test.ts. -->\n";

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function withoutKey(option: LeafOption<unknown>): string {
  if (option.required) {
    return "required";
  }
  return option.default === undefined || option.default === "" ? "–" : defaultText(option);
}

const common = new Set([...keysOf(functionSchema)].map(({ key }) => key));

function table(keys: ReturnType<typeof keysOf>, leaveOut: ReadonlySet<string>): string {
  const lines = ["| key | allowed | without it | | since |", "|---|---|---|---|---|"];
  for (const { key, option } of keys) {
    if (leaveOut.has(key)) {
      continue;
    }
    const old = option.aliases.length === 0 ? "" : ` Also ${option.aliases.join(", ")}.`;
    const pending = option.pending ? " No effect yet." : "";
    lines.push(`| \`${key}\` | ${cell(option.allowed)} | ${cell(withoutKey(option))} `
      + `| ${cell(option.help)}${old}${pending} | ${option.since} |`);
  }
  return lines.length === 2 ? "No keys of its own.\n" : `${lines.join("\n")}\n`;
}

function tables(): string {
  const none = new Set<string>();
  const parts = ["## Keys of the machine\n", table(keysOf(globalSchema), none),
    "## Keys of every PCI function, below `pci.BUS.SLOT.FUNCTION`\n",
    table(keysOf(functionSchema), none)];
  for (const [name, device] of deviceSchemas) {
    parts.push(`### ${name}\n`, `${deviceSummary(device)}\n`,
      table(keysOf(device.options), common));
  }
  return `\n${parts.join("\n")}`;
}

test("the reference of keys is what the schemas say", () => {
  const text = readFileSync(file, "utf8");
  const at = text.indexOf(marker);
  assert.ok(at > 0, "docs/config.md has its marker");
  const expected = text.slice(0, at + marker.length) + tables();
  if (process.env["UPDATE"] === "1") {
    writeFileSync(file, expected);
  }
  assert.equal(readFileSync(file, "utf8"), expected, "UPDATE=1 brings docs/config.md up to date");
});

test("the manual page of keys is what the schemas say", () => {
  const page = join(repositoryRoot, "man", "tsbhyve_config.5");
  const expected = manualText(configPage);
  if (process.env["UPDATE"] === "1") {
    writeFileSync(page, expected);
  }
  assert.equal(readFileSync(page, "utf8"), expected, "UPDATE=1 brings it up to date");
});
