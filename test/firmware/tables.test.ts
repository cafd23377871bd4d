import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { ConfigError } from "../../src/base/errors.ts";
import { GiB, gpa, KiB, MiB } from "../../src/base/units.ts";
import { e820, memoryEnd } from "../../src/firmware/e820.ts";
import { buildFirmwareTables } from "../../src/firmware/tables.ts";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest, test } from "../support/harness.ts";
import { boardOptions } from "./board.ts";
import { acpiTables, smbiosStructures, sumAt, tableBytes, textAt } from "./table-reader.ts";

const folder = testFolder();

test("the memory map has bhyve's hole, reserved area and split at 3 GiB", () => {
  const bases = (size: number) => e820(size).map(({ base, length, type }) => [base, length, type]);
  assert.deepEqual(bases(256 * MiB), [
    [0, 640 * KiB, 1], [0xc_0000, 0x4_0000, 2], [1 * MiB, 255 * MiB, 1],
  ]);
  assert.deepEqual(bases(5 * GiB).at(-1), [4 * GiB, 2 * GiB, 1]);
  assert.deepEqual([memoryEnd(1 * GiB), memoryEnd(5 * GiB)], [4 * GiB, 6 * GiB]);
});

test("an operating system finds every ACPI table, each with a right checksum", () => {
  const options = boardOptions();
  const { memory } = options;
  const { rsdp } = buildFirmwareTables(options);
  assert.equal(rsdp, 0xf_2400);
  assert.equal(textAt(memory, 0xf_2400, 8), "RSD PTR ");
  assert.deepEqual([sumAt(memory, 0xf_2400, 20), sumAt(memory, 0xf_2400, 36)], [0, 0]);
  const tables = acpiTables(memory, 0xf_2400);
  assert.deepEqual([...tables.keys()].sort(),
    ["APIC", "DSDT", "FACP", "FACS", "HPET", "MCFG", "RSDT", "XSDT"]);
  for (const [signature, at] of tables) {
    const length = memory.u32(gpa(at + 4));
    assert.ok(signature === "FACS" || sumAt(memory, at, length) === 0, signature);
    assert.ok(at + length <= 1 * MiB, signature);
  }
});

test("the fixed hardware is described at the ports the model has", () => {
  const options = boardOptions();
  buildFirmwareTables(options);
  const fadt = acpiTables(options.memory, 0xf_2400).get("FACP") ?? 0;
  const dword = (offset: number) => options.memory.u32(gpa(fadt + offset));
  assert.deepEqual([48, 56, 64, 76, 80].map(dword), [0xb2, 0x400, 0x404, 0x408, 0x40c]);
  assert.equal(options.memory.u16(gpa(fadt + 46)), 9);
  assert.equal(options.memory.u64(gpa(fadt + 152)), 0x400);
});

test("processors beyond 255 have x2APIC entries", () => {
  const options = boardOptions({ cpus: { sockets: 2, cores: 150, threads: 1 } });
  buildFirmwareTables(options);
  const madt = tableBytes(options.memory, acpiTables(options.memory, 0xf_2400).get("APIC") ?? 0);
  const types = new Map<number, number>();
  for (let at = 44; at < madt.length; at += madt[at + 1] ?? 1) {
    types.set(madt[at] ?? 0, (types.get(madt[at] ?? 0) ?? 0) + 1);
  }
  assert.deepEqual(Object.fromEntries(types), { 0: 255, 9: 45, 1: 1, 2: 2, 4: 1, 10: 1 });
});

test("more processors than the tables hold are an error of their key", () => {
  const options = boardOptions({ cpus: { sockets: 1, cores: 60_000, threads: 1 } });
  assert.throws(() => buildFirmwareTables(options), (error) =>
    error instanceof ConfigError && error.problems[0]?.key === "cpus");
});

test("without ACPI there is no root pointer", () => {
  const options = boardOptions({ acpi: undefined });
  assert.equal(buildFirmwareTables(options).rsdp, undefined);
  assert.equal(textAt(options.memory, 0xf_2400, 4), "\0\0\0\0");
});

test("SMBIOS structures come in bhyve's order, with the user's texts", () => {
  const options = boardOptions({
    smbios: { systemSerial: "12345", boardAsset: "" },
    uuid: "00112233-4455-6677-8899-aabbccddeeff",
  });
  const { smbios } = buildFirmwareTables(options);
  assert.equal(smbios, 0xf_1000);
  assert.deepEqual([sumAt(options.memory, smbios, 0x1f), sumAt(options.memory, smbios + 16, 15)],
    [0, 0]);
  const structures = smbiosStructures(options.memory, smbios);
  assert.deepEqual(structures.map(({ type }) => type), [0, 1, 2, 3, 4, 16, 17, 19, 32, 127]);
  assert.deepEqual(structures.map(({ handle }) => handle), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(structures[1]?.strings,
    ["FreeBSD", "BHYVE", "1.0", "12345", "None", "Virtual Machine"]);
  assert.equal(Buffer.from(structures[1]?.fields.subarray(8, 24) ?? []).toString("hex"),
    "33221100554477668899aabbccddeeff");
  assert.equal(structures[2]?.fields[8], 0);
});

test("the UUID that nobody gave is a version 3 digest of name and host", () => {
  const uuidOf = (name: string) => {
    const options = boardOptions({ name });
    const structures = smbiosStructures(options.memory, buildFirmwareTables(options).smbios);
    return Buffer.from(structures[1]?.fields.subarray(8, 24) ?? []).toString("hex");
  };
  // printf 'vm0host.example' with 244 zero bytes behind it, through md5sum, then the two bits.
  assert.equal(uuidOf("vm0"), expectedUuid);
  assert.notEqual(uuidOf("vm1"), uuidOf("vm0"));
});

const expectedUuid = "c1422c51d4eb3ed98c1a06ee05b55001";

test("memory above 4 GiB has a mapping of its own, and sizes that need the wide fields", () => {
  // A view without bytes behind it serves, since only the sizes matter.
  const options = boardOptions();
  const memory = new Proxy(options.memory, {
    get: (target, name) => (name === "lowBytes" ? 3 * GiB : name === "highBytes" ? 61 * GiB
      : name === "write" ? target.write.bind(target) : Reflect.get(target, name, target)),
  });
  const { smbios, e820: map } = buildFirmwareTables({ ...options, memory });
  const structures = smbiosStructures(options.memory, smbios);
  const view = (type: number, nth = 0) => {
    const fields = structures.filter((each) => each.type === type)[nth]?.fields ?? new Uint8Array();
    return new DataView(fields.buffer, fields.byteOffset, fields.length);
  };
  assert.equal(view(16).getUint32(7, true), 64 * MiB);
  assert.equal(view(17).getUint16(12, true), 0x7fff);
  assert.equal(view(17).getUint32(28, true), 64 * KiB);
  assert.equal(view(19, 1).getUint32(4, true), 4 * MiB);
  assert.equal(view(19, 1).getUint32(8, true), 65 * MiB - 1);
  assert.equal(map.at(-1)?.length, 61 * GiB);
});

test("texts that do not fit are an error of the longest one's key", () => {
  const options = boardOptions({ smbios: { chassisSku: "x".repeat(5000), biosVendor: "y" } });
  assert.throws(() => buildFirmwareTables(options), (error) =>
    error instanceof ConfigError && error.problems[0]?.key === "chassis.sku");
});

test("the MP table lists processors, buses and interrupts, and only if asked for", () => {
  const options = boardOptions();
  const { memory } = options;
  buildFirmwareTables(options);
  assert.equal(textAt(memory, 0xf_0000, 4), "_MP_");
  assert.equal(sumAt(memory, 0xf_0000, 16), 0);
  const table = memory.u32(gpa(0xf_0004));
  const length = memory.u16(gpa(table + 4));
  assert.deepEqual([textAt(memory, table, 4), sumAt(memory, table, length)], ["PCMP", 0]);
  // Two processors, two buses, an I/O APIC, 16 ISA and 12 PCI interrupts, two local ones.
  assert.equal(memory.u16(gpa(table + 34)), 2 + 2 + 1 + 16 + 12 + 2);
  const without = boardOptions({ mpTable: false });
  buildFirmwareTables(without);
  assert.equal(textAt(without.memory, 0xf_0000, 4), "\0\0\0\0");
});

const hasIasl = spawnSync("iasl", ["-v"]).error === undefined;

function checkWithIasl(name: string, make: () => ReturnType<typeof boardOptions>): void {
  const title = `iasl disassembles ${name} and compiles it again without a complaint`;
  if (!hasIasl) {
    skipTest(title, "iasl is not installed (Debian package acpica-tools)");
    return;
  }
  test(title, () => {
    const options = make();
    buildFirmwareTables(options);
    for (const [signature, at] of acpiTables(options.memory, 0xf_2400)) {
      const file = folder.put(`${signature}.aml`, tableBytes(options.memory, at));
      const said = execFileSync("iasl", ["-d", file], { stdio: "pipe" }).toString();
      const result = spawnSync("iasl", ["-d", file], { encoding: "utf8" });
      assert.doesNotMatch(said + result.stderr, /warning|error|invalid|ACPI BIOS/i, signature);
    }
    const compiled = spawnSync("iasl", ["-oa", "-p", folder.file("again"), folder.file("DSDT.dsl")],
      { encoding: "utf8" });
    assert.match(compiled.stdout, /0 Errors, 0 Warnings/, compiled.stdout);
    const again = readFileSync(folder.file("again.aml"));
    assert.deepEqual(again.subarray(36), Buffer.from(
      tableBytes(options.memory, acpiTables(options.memory, 0xf_2400).get("DSDT") ?? 0)
        .subarray(36)));
  });
}

checkWithIasl("the tables of a full board", () => boardOptions({}, 30));
checkWithIasl("the tables of a board without LPC bridge and HPET", () => {
  const options = boardOptions({ hpet: undefined, serialPorts: [] });
  return { ...options, pci: { ...options.pci, lpc: undefined } };
});
