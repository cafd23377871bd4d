import { GiB, KiB, MiB } from "../../src/base/units.ts";
import { completeTopology, numberPrefix, readBool, readCpuList, readInteger, readSize, readSlot }
  from "../../src/config/values.ts";
import { assert, test } from "../support/harness.ts";

function valueOf<T>(reading: { value: T } | { wrong: string }): T | "wrong" {
  return "value" in reading ? reading.value : "wrong";
}

test("sizes as memory.size takes them", () => {
  const sizes: readonly [string, number][] = [
    ["512", 512 * MiB], ["1048575", 1048575 * MiB], ["1048576", MiB], ["0x20", 32 * MiB],
    ["040", 32 * MiB], [" 64", 64 * MiB], ["64M", 64 * MiB], ["64mB", 64 * MiB],
    ["65536K", 64 * MiB], ["2g", 2 * GiB], ["1T", 1024 * GiB], ["0x10k", 16 * KiB], ["+1", MiB],
    ["0", 0], ["0b10", 2 * MiB], ["100b", 100],
  ];
  for (const [text, bytes] of sizes) {
    assert.equal(valueOf(readSize(text)), BigInt(bytes), text);
  }
  for (const text of ["", " ", "1.5G", "64Mi", "1e2", "16E", "64 ", "M", "-1M", "0x", "1MM"]) {
    const reading = readSize(text);
    assert.ok("wrong" in reading, text);
    assert.equal(reading.status, 64, text);
  }
  assert.equal(valueOf(readSize("-1")), (1n << 64n) - 1n);
  assert.equal(valueOf(readSize("99999999999999999999999")), (1n << 64n) - 1n);
});

test("booleans are whole words in any case, or one digit", () => {
  for (const text of ["true", "TRUE", "On", "yes", "1"]) {
    assert.equal(valueOf(readBool(text)), true, text);
  }
  for (const text of ["false", "OFF", "No", "0"]) {
    assert.equal(valueOf(readBool(text)), false, text);
  }
  for (const text of ["", " true", "true ", "2", "01", "y", "enabled", "yeſ"]) {
    assert.equal(valueOf(readBool(text)), "wrong", text);
  }
});

test("numbers as strtol reads their start", () => {
  for (const [text, base, value, length] of [
    ["12x", 0, 12n, 2], ["0x1fz", 0, 31n, 4], ["0x", 0, 0n, 1], ["0xg", 16, 0n, 1],
    ["08", 0, 0n, 1],
    ["-7", 0, -7n, 2], ["\t+9", 10, 9n, 3], ["", 0, 0n, 0], ["x", 0, 0n, 0], ["ff", 16, 255n, 2],
    ["0x10", 10, 0n, 1],
  ] as const) {
    assert.deepEqual(numberPrefix(text, base), { value, length }, text);
  }
  assert.equal(valueOf(readInteger("0x10", { max: 16 })), 16);
  for (const text of ["", "1 ", "17", "-1", "1.0"]) {
    assert.equal(valueOf(readInteger(text, { min: 0, max: 16 })), "wrong", text);
  }
});

test("PCI slots as sscanf reads them", () => {
  for (const [text, bus, slot, func] of [
    ["3", 0, 3, 0], ["3:7", 0, 3, 7], ["1:2:3", 1, 2, 3], ["0x3", 0, 0, 0], ["3:a", 0, 3, 0],
    ["1:2:3:4", 1, 2, 3], [" +3", 0, 3, 0],
  ] as const) {
    assert.deepEqual(valueOf(readSlot(text)), { bus, slot, func }, text);
  }
  for (const text of ["", "a", "32", "3:8", "256:0:0", "-1", "3:-1"]) {
    assert.equal(valueOf(readSlot(text)), "wrong", text);
  }
});

test("CPU lists", () => {
  assert.deepEqual(valueOf(readCpuList("0,2-4,3,0x8")), [0, 2, 3, 4, 8]);
  assert.deepEqual(valueOf(readCpuList(" 0")), [0]);
  for (const text of ["", "0,", ",0", "3-1", "0-", "-1", "1024", "0 ", "a", "1-2-3"]) {
    assert.equal(valueOf(readCpuList(text)), "wrong", text);
  }
});

test("sockets default to the number of CPUs, and the product must match", () => {
  const given = { cpus: undefined, sockets: undefined, cores: 1, threads: 1 };
  assert.deepEqual(valueOf(completeTopology({ ...given, cpus: 4 })),
    { sockets: 4, cores: 1, threads: 1, cpus: 4 });
  assert.deepEqual(valueOf(completeTopology({ ...given, cores: 2 })),
    { sockets: 1, cores: 2, threads: 1, cpus: 2 });
  assert.equal(valueOf(completeTopology({ ...given, cpus: 4, cores: 2 })), "wrong");
  assert.equal(valueOf(completeTopology({ ...given, sockets: 256, cores: 256 })), "wrong");
});
