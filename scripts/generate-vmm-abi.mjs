// Writes src/vmm/freebsd/abi/*.ts from the facts in test/vmm/freebsd/vmm-abi.json:
// node scripts/generate-vmm-abi.mjs. A later version holds what differs from the one it is based on.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./build.mjs";

const facts = JSON.parse(readFileSync(join(root, "test", "vmm", "freebsd", "vmm-abi.json"), "utf8"));
const columns = 98;

const sizes = {
  int: "i32", uint32_t: "u32", "unsigned int": "u32", uint_t: "u32", uint64_t: "u64", int64_t: "i64",
  size_t: "u64", "const size_t": "u64", vm_paddr_t: "u64", vm_ooffset_t: "i64", time_t: "i64",
  suseconds_t: "i64", long: "i64", off_t: "i64", uint16_t: "u16", uint8_t: "u8",
};
const arrayUnits = { ...sizes, char: "u8", "unsigned long": "u64" };
const unitBytes = { u8: 1, u16: 2, i32: 4, u32: 4, i64: 8, u64: 8 };

/** `name offset kind`; bit fields as `u16.3-5`, arrays of bytes by their length. */
function field({ name, offset, type, bits }) {
  if (bits !== undefined) {
    const unit = sizes[type];
    return `${name} ${offset} ${unit}.${bits[0]}-${bits[1]}`;
  }
  const array = /^(.*)\[(\d+)\]$/.exec(type);
  if (array !== null) {
    return `${name} ${offset} bytes${unitBytes[arrayUnits[array[1]]] * Number(array[2])}`;
  }
  if (type.includes("*")) return `${name} ${offset} u64`;
  if (type.startsWith("enum ")) return `${name} ${offset} i32`;
  if (type.startsWith("struct") || type === "union") return undefined; // Its fields follow.
  if (sizes[type] === undefined) throw new Error(`no size of ${type} ${name}`);
  return `${name} ${offset} ${sizes[type]}`;
}

/** Fields of a structure within, where they are not listed by their dotted names. */
function expand(outer, fields, structs) {
  const inner = structs[/^struct (\w+)$/.exec(outer.type)?.[1]];
  const isListed = fields.some(({ name }) => name.startsWith(`${outer.name}.`));
  return inner === undefined || isListed ? [outer] : inner.fields.map((each) =>
    ({ ...each, name: `${outer.name}.${each.name}`, offset: outer.offset + each.offset }));
}

const structText = ({ size, fields }, structs) => [String(size),
  ...fields.flatMap((each) => expand(each, fields, structs)).map(field)
    .filter((each) => each !== undefined)].join("; ");

function tablesOf({ ioctls, structs, enums, constants = {} }) {
  return {
    ioctls: Object.fromEntries(Object.entries(ioctls).map(([name, { value }]) => [name, value])),
    structs: Object.fromEntries(Object.entries(structs).map(([name, each]) =>
      [name, structText(each, structs)])),
    constants: Object.fromEntries([...Object.values(enums).flatMap(Object.entries),
      ...Object.entries(constants)].map(([name, value]) => [name, String(value)])),
  };
}

const key = (name) => /^\w+$/.test(name) ? name : JSON.stringify(name);
const hex = (text) => text.replace(/^0x(\w+)$/, (_, digits) => digits.length > 4
  ? `0x${digits.padStart(8, "0").replace(/(....)$/, "_$1")}` : text);

/** A long text as pieces that are joined. */
function quoted(text, indent, nameLength) {
  const pieces = [];
  let line = "";
  let room = columns - indent - nameLength - 4;
  for (const word of text.split(/(?<=; )/)) {
    if (line !== "" && line.length + word.length > room) {
      pieces.push(line);
      line = "";
      room = columns - indent - 6;
    }
    line += word;
  }
  pieces.push(line);
  return pieces.map((each) => JSON.stringify(each)).join(`\n${" ".repeat(indent)}+ `);
}

/** Entries as many to a line as fit. */
function packed(entries) {
  const lines = [];
  let line = "   ";
  for (const [name, value] of entries) {
    const text = ` ${key(name)}: ${value},`;
    if (line.length + text.length > columns) {
      lines.push(line);
      line = "   ";
    }
    line += text;
  }
  lines.push(line);
  return lines.join("\n");
}

/** What `now` has else than `before`; what is gone is undefined. */
function difference(now, before) {
  const names = new Set([...Object.keys(now), ...Object.keys(before)]);
  return [...names].filter((name) => now[name] !== before[name])
    .map((name) => [name, now[name]]);
}

function tableText(name, now, before, valueText) {
  const entries = before === undefined ? Object.entries(now[name])
    : difference(now[name], before[name]);
  const base = before === undefined ? "" : `    ...base.${name},\n`;
  const text = name === "structs"
    ? entries.map(([each, value]) => value === undefined ? `    ${each}: undefined,`
      : `    ${each}: ${quoted(value, 6, each.length)},`).join("\n")
    : packed(entries.map(([each, value]) => [each, value === undefined ? value : valueText(value)]));
  return `  ${name}: {\n${base}${text}\n  },\n`;
}

function write(platform, baseName, title) {
  const now = tablesOf(facts.platforms[platform]);
  const before = baseName === undefined ? undefined : tablesOf(facts.platforms[baseName]);
  const imports = before === undefined ? "" : `import { ${baseName} as base } from "./${baseName}.ts";\n`;
  const text = `/** The /dev/vmm interface of ${title}. Written by scripts/generate-vmm-abi.mjs. */\n`
    + `import type { VmmTables } from "../tables.ts";\n${imports}\n`
    + `export const ${platform}: VmmTables = {\n  name: ${JSON.stringify(platform)},\n`
    + tableText("ioctls", now, before, hex)
    + tableText("structs", now, before)
    + tableText("constants", now, before, (value) => value) + "};\n";
  writeFileSync(join(root, "src", "vmm", "freebsd", "abi", `${platform}.ts`), text);
}

write("freebsd15", undefined, "FreeBSD 15");
write("freebsd14", "freebsd15", "FreeBSD 14");
write("freebsd13", "freebsd14", "FreeBSD 13.2 and later");
write("illumos", undefined, "illumos, version 18");
