import { gpa } from "../../src/base/units.ts";
import { GuestMemory } from "../../src/fabric/memory.ts";
import { struct, u16, u32, u64, u8 } from "../../src/fabric/struct.ts";
import { assert, test } from "../support/harness.ts";

const descriptor = struct({ address: u64, length: u32, flags: u16, next: u16 });

test("fields follow each other without gaps, little-endian", () => {
  const memory = new GuestMemory(new ArrayBuffer(4096), 0, 4096);
  assert.equal(descriptor.size, 16);
  assert.equal(descriptor.next.offset, 14);
  descriptor.address.set(memory, 32, 0x12_3456_789a);
  descriptor.length.set(memory, 32, 0xfeed_beef);
  descriptor.next.set(memory, 32, 0x0102);
  assert.deepEqual([...memory.read(gpa(32), 16)],
    [0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0, 0, 0xef, 0xbe, 0xed, 0xfe, 0, 0, 2, 1]);
  assert.equal(descriptor.address.get(memory, 32), 0x12_3456_789a);
});

test("a structure outside RAM reads as ones and keeps nothing", () => {
  const memory = new GuestMemory(new ArrayBuffer(4096), 0, 4096);
  const record = struct({ kind: u8, value: u16 });
  record.value.set(memory, 4095, 7);
  assert.equal(record.value.get(memory, 4095), 0xffff);
  assert.equal(record.kind.get(memory, 4095), 0);
});

test("a field called size would hide the structure's and is refused", () => {
  assert.throws(() => struct({ size: u8 }));
});
