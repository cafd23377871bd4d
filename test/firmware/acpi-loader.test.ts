/** The ACPI files of fw_cfg, placed as firmware does it: by the commands that come with them. */
import { gpa } from "../../src/base/units.ts";
import type { GuestMemory } from "../../src/fabric/memory.ts";
import { makeAcpiImage } from "../../src/firmware/acpi/tables.ts";
import { assert, test } from "../support/harness.ts";
import { boardOptions } from "./board.ts";
import { acpiTables, sumAt, textAt } from "./table-reader.ts";

const places = { "etc/acpi/tables": 0x20_0040, "etc/acpi/rsdp": 0xf_6000 } as const;

function placeOf(name: string): number {
  assert.ok(name === "etc/acpi/tables" || name === "etc/acpi/rsdp", name);
  return places[name];
}

/** One command of 128 bytes (QEMU, hw/acpi/bios-linker-loader.c). */
function execute(command: Buffer, memory: GuestMemory, files: ReadonlyMap<string, Uint8Array>) {
  const name = (at: number) => command.subarray(at, command.indexOf(0, at)).toString();
  const place = placeOf(name(4));
  switch (command.readUInt32LE(0)) {
    case 1: {
      assert.equal(place % command.readUInt32LE(60), 0, "aligned as asked");
      const bytes = files.get(name(4));
      assert.ok(bytes !== undefined);
      memory.write(gpa(place), bytes);
      break;
    }
    case 2: {
      const at = place + command.readUInt32LE(116), size = command.readUInt8(120);
      const value = (size === 8 ? memory.u64(gpa(at)) : memory.u32(gpa(at))) + placeOf(name(60));
      const bytes = Buffer.alloc(size);
      bytes.writeUInt32LE(value);
      memory.write(gpa(at), bytes);
      break;
    }
    case 3: {
      const [at = 0, start = 0, length = 0] = [60, 64, 68]
        .map((each) => command.readUInt32LE(each));
      memory.write(gpa(place + at), Uint8Array.of(0));
      memory.write(gpa(place + at), Uint8Array.of(-sumAt(memory, place + start, length) & 0xff));
      break;
    }
    default: assert.fail("no such command");
  }
}

test("firmware can place the tables anywhere, and finds every one with a right checksum", () => {
  const options = boardOptions({ fwCfgPort: 0x510 });
  const { acpi, memory } = options;
  assert.ok(acpi !== undefined);
  const files = new Map(makeAcpiImage({ ...options, acpi }).files()
    .map(({ name, bytes }) => [name, bytes]));
  const loader = Buffer.from(files.get("etc/table-loader") ?? []);
  assert.ok(loader.length > 0 && loader.length % 128 === 0);
  for (let at = 0; at < loader.length; at += 128) {
    execute(loader.subarray(at, at + 128), memory, files);
  }
  const rsdp = places["etc/acpi/rsdp"];
  assert.deepEqual([sumAt(memory, rsdp, 20), sumAt(memory, rsdp, 36)], [0, 0]);
  const tables = acpiTables(memory, rsdp);
  assert.deepEqual([...tables.keys()].sort(),
    ["APIC", "DSDT", "FACP", "FACS", "HPET", "MCFG", "RSDT", "XSDT"]);
  for (const [signature, at] of tables) {
    const length = memory.u32(gpa(at + 4));
    assert.ok(at >= places["etc/acpi/tables"], signature);
    assert.ok(signature === "FACS" || sumAt(memory, at, length) === 0, signature);
  }
  const dsdt = tables.get("DSDT") ?? 0;
  assert.ok(textAt(memory, dsdt, memory.u32(gpa(dsdt + 4))).includes("QEMU0002"));
});
