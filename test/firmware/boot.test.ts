import { gzipSync } from "node:zlib";
import { ConfigError } from "../../src/base/errors.ts";
import { gpa, KiB, MiB } from "../../src/base/units.ts";
import type { GuestMemory } from "../../src/fabric/memory.ts";
import { readBootFile, readBootModules } from "../../src/firmware/boot-file.ts";
import { readBootRom } from "../../src/firmware/boot-rom.ts";
import { loadBoot, type BootRequest, type LoadedBoot } from "../../src/firmware/boot.ts";
import { e820 } from "../../src/firmware/e820.ts";
import { testFolder } from "../support/folder.ts";
import { assert, randomSource, test } from "../support/harness.ts";
import { guestMemory } from "./board.ts";
import {
  codeLikeBytes, makeBzImage, makeElf, multibootHeader, packLz4Literals, type ElfPlan,
} from "./images.ts";
import { textAt } from "./table-reader.ts";

const folder = testFolder();
const memoryBytes = 32 * MiB;
const rsdp = 0xf_2400;

const file = (key: string, bytes: Uint8Array) => ({ key, path: "/images/some", bytes });
const code = codeLikeBytes(5000);
const kernelAt = 16 * MiB;

const elf64: ElfPlan = {
  is64: true, entry: kernelAt + 0x10,
  segments: [
    { physical: kernelAt, virtual: 0x7_0000_0000, bytes: code, memoryBytes: 64 * KiB },
    { physical: kernelAt + MiB, bytes: Buffer.from("data") },
  ],
};

/** Memory that a guest has used before: what must be clear has to be cleared. */
function dirtyMemory(): GuestMemory {
  const memory = guestMemory(memoryBytes);
  memory.window(gpa(0), memoryBytes)?.fill(0xcc);
  return memory;
}

interface Loaded extends LoadedBoot {
  readonly memory: GuestMemory;
}

async function load(kernel: Uint8Array, more: Partial<BootRequest> = {}): Promise<Loaded> {
  const memory = more.memory ?? dirtyMemory();
  const boot = await loadBoot({
    memory, kernel: file("boot.kernel", kernel), commandLine: "console=ttyS0",
    tables: { rsdp, e820: e820(memoryBytes) }, ...more,
  });
  return { ...boot, memory };
}

const register = ({ entry }: LoadedBoot, name: keyof LoadedBoot["entry"]["registers"]) =>
  Number(entry.registers[name] ?? -1n);

/** What a problem says, from a load that must fail. */
async function refusal(kernel: Uint8Array, more: Partial<BootRequest> = {}) {
  const error = await load(kernel, more).then(() => undefined, (reason: unknown) => reason);
  assert.ok(error instanceof ConfigError, String(error));
  const [problem] = error.problems;
  assert.ok(problem !== undefined);
  assert.match(problem.message, /allowed: /);
  return problem;
}

test("a 64-bit Linux kernel is unpacked and entered in long mode with its parameters", async () => {
  const initrd = codeLikeBytes(10_000);
  const loaded = await load(makeBzImage({ payload: gzipSync(makeElf(elf64)) }), {
    initrd: file("boot.initrd", initrd),
  });
  const { memory, entry } = loaded;
  assert.match(loaded.kind, /Linux 6\.1\.0-test, packing gzip, 64-bit entry/);
  assert.equal(register(loaded, "rip"), elf64.entry);
  assert.deepEqual(memory.read(gpa(kernelAt), code.length), code);
  assert.ok(memory.read(gpa(kernelAt + 5000), 64 * KiB - 5000).every((byte) => byte === 0));
  assert.equal(textAt(memory, kernelAt + MiB, 4), "data");

  const page = register(loaded, "rsi");
  assert.equal(textAt(memory, page + 0x202, 4), "HdrS");
  assert.equal(textAt(memory, memory.u32(gpa(page + 0x228)), 14), "console=ttyS0\0");
  assert.equal(memory.u8(gpa(page + 0x210)), 0xff);
  assert.equal(memory.u64(gpa(page + 0x70)), rsdp);
  assert.equal(memory.u8(gpa(page + 0x1e8)), 3);
  assert.equal(memory.u64(gpa(page + 0x2d0 + 2 * 20 + 8)), memoryBytes - MiB);
  const [initrdAt, initrdBytes] = [0x218, 0x21c].map((at) => memory.u32(gpa(page + at)));
  assert.equal(initrdBytes, initrd.length);
  assert.deepEqual(memory.read(gpa(initrdAt ?? 0), initrd.length), initrd);
  assert.equal((initrdAt ?? 1) % 4096, 0);

  assert.equal(entry.registers.efer, 0x500n);
  assert.deepEqual(entry.segments.cs, {
    selector: 0x10, base: 0n, limit: 0xffff_ffff, attributes: 0xa09b,
  });
  assert.equal(entry.segments.ds?.selector, 0x18);
});

/** Follows page tables as the processor does. */
function translate(memory: GuestMemory, root: number, address: number): number {
  let table = root;
  for (const shift of [39, 30, 21]) {
    const index = Math.floor(address / 2 ** shift) % 512;
    const entry = memory.u64(gpa(table + index * 8));
    assert.equal(entry % 4, 3, "present and writable");
    table = entry - (entry % 4096);
    if (entry % 256 >= 128) {
      return table + (address % 2 ** shift);
    }
  }
  return -1;
}

test("the first 4 GiB are mapped to themselves, and the GDT in memory matches", async () => {
  const loaded = await load(makeBzImage({ payload: gzipSync(makeElf(elf64)) }));
  for (const address of [0, 0x9_1234, kernelAt + 5, 3 * 1024 * MiB, 4096 * MiB - 1]) {
    assert.equal(translate(loaded.memory, register(loaded, "cr3"), address), address);
  }
  const gdt = Number(loaded.entry.gdtr?.base);
  assert.equal(loaded.memory.u32(gpa(gdt + 0x14)), 0x00af_9b00);
  assert.equal(loaded.memory.u32(gpa(gdt + 0x1c)), 0x00cf_9300);
});

test("a 32-bit Linux kernel is entered in protected mode", async () => {
  const elf = makeElf({ ...elf64, is64: false, entry: 0x10_0000,
    segments: [{ physical: 0x10_0000, bytes: code }] });
  const loaded = await load(makeBzImage({ payload: packLz4Literals(elf), xloadFlags: 0 }));
  assert.match(loaded.kind, /packing LZ4, 32-bit entry/);
  const state = ["rip", "cr0", "efer"] as const;
  assert.deepEqual(state.map((name) => register(loaded, name)), [0x10_0000, 0x11, 0]);
  assert.equal(loaded.entry.segments.cs?.attributes, 0xc09b);
  assert.equal(textAt(loaded.memory, register(loaded, "rsi") + 0x202, 4), "HdrS");
});

test("an image whose packing we do not know unpacks itself", async () => {
  const bzip2 = Buffer.from("BZh91AY&SY and so on");
  const long = await load(makeBzImage({ payload: bzip2, preferredAddress: 0x20_0000 }));
  assert.equal(register(long, "rip"), 0x20_0200);
  assert.equal(textAt(long.memory, 0x20_0200, 8), "start 64");
  const protectedMode = await load(makeBzImage({ payload: bzip2, xloadFlags: 0 }));
  assert.equal(register(protectedMode, "rip"), 0x10_0000);
  assert.equal(textAt(protectedMode.memory, 0x10_0000, 8), "start 32");
});

test("an image without a payload, such as a memory tester, is entered itself", async () => {
  const loaded = await load(makeBzImage({ version: 0x020c, xloadFlags: 9, initBytes: 0x6_acf8 }));
  assert.equal(register(loaded, "rip"), 0x10_0200);
});

test("a PVH kernel gets its start info, with memory map and modules", async () => {
  const kernel = makeElf({ ...elf64, pvhEntry: kernelAt + 0x40 });
  const loaded = await load(kernel, {
    initrd: file("boot.initrd", code),
    modules: [{ ...file("boot.modules", code), commandLine: "second -v" }],
  });
  const { memory } = loaded;
  const info = register(loaded, "rbx");
  const dword = (at: number) => memory.u32(gpa(info + at));
  assert.equal(register(loaded, "rip"), kernelAt + 0x40);
  assert.deepEqual([dword(0), dword(4), dword(12), dword(48)], [0x336e_c578, 1, 2, 3]);
  assert.equal(textAt(memory, dword(24), 14), "console=ttyS0\0");
  assert.equal(dword(32), rsdp);
  const modules = dword(16);
  assert.deepEqual(memory.read(gpa(memory.u32(gpa(modules))), code.length), code);
  assert.equal(textAt(memory, memory.u32(gpa(modules + 32 + 16)), 10), "second -v\0");
  assert.equal(memory.u64(gpa(dword(40) + 48)), MiB);
});

test("a multiboot ELF gets command line, modules and memory map", async () => {
  const kernel = makeElf({
    is64: false, entry: 0x10_0020, segments: [{ physical: 0x10_0000, bytes: code }],
    extra: multibootHeader(3),
  });
  const loaded = await load(kernel, {
    modules: [{ ...file("boot.modules", code), commandLine: "module argument" }],
  });
  const { memory } = loaded;
  const info = register(loaded, "rbx");
  const dword = (at: number) => memory.u32(gpa(info + at));
  assert.equal(register(loaded, "rax"), 0x2bad_b002);
  assert.equal(register(loaded, "rip"), 0x10_0020);
  assert.equal(dword(0), 0x24d);
  assert.deepEqual([dword(4), dword(8)], [640, memoryBytes / KiB - 1024]);
  assert.equal(textAt(memory, dword(16), 14), "console=ttyS0\0");
  const [start = 0, end = 0, text = 0] = [0, 4, 8].map((at) => memory.u32(gpa(dword(24) + at)));
  assert.deepEqual([end - start, start % 4096], [code.length, 0]);
  assert.deepEqual(memory.read(gpa(start), code.length), code);
  assert.equal(textAt(memory, text, 16), "module argument\0");
  assert.equal(dword(44), 3 * 24);
  assert.equal(memory.u32(gpa(dword(48))), 20);
});

test("a multiboot header with addresses says what goes where", async () => {
  const header = multibootHeader(0x1_0003,
    [0x20_0010, 0x20_0000, 0x20_0100, 0x20_1000, 0x20_0080]);
  const kernel = Buffer.concat([
    Buffer.alloc(4), Buffer.from("0123456789abcdef"), header, code,
  ]);
  const loaded = await load(kernel);
  assert.equal(register(loaded, "rip"), 0x20_0080);
  assert.equal(textAt(loaded.memory, 0x20_0000, 16), "0123456789abcdef");
  assert.equal(loaded.memory.u8(gpa(0x20_0fff)), 0);
  assert.equal(loaded.memory.u8(gpa(0x20_1000)), 0xcc);
});

test("a kernel that is none, is empty or is cut off is an error of its key", async () => {
  assert.match((await refusal(new Uint8Array())).message, /empty/);
  assert.match((await refusal(Buffer.from("#!/bin/sh\nexit 0\n"))).message, /not a kernel/);
  assert.match((await refusal(makeElf(elf64))).message, /PVH note/);
  const arm = makeElf(elf64);
  arm[18] = 183;
  assert.match((await refusal(arm)).message, /no executable for x86/);
  const whole = makeBzImage({ payload: gzipSync(makeElf(elf64)) });
  for (const length of [0x208, 0x240, 700, 1536, whole.length - 400]) {
    const problem = await refusal(whole.subarray(0, length));
    assert.deepEqual([problem.key, problem.value], ["boot.kernel", "/images/some"]);
    assert.match(problem.message, /truncated/);
  }
  assert.match((await refusal(makeBzImage({ version: 0x0203 }))).message, /2\.03/);
  assert.match((await refusal(makeBzImage({ loadFlags: 0 }))).message, /zImage/);
});

test("what does not fit into memory is an error of its own key", async () => {
  const kernel = makeBzImage({ payload: gzipSync(makeElf(elf64)) });
  const initrd = file("boot.initrd", new Uint8Array(20 * MiB));
  assert.equal((await refusal(kernel, { initrd })).key, "boot.initrd");
  const low = makeBzImage({
    payload: gzipSync(makeElf(elf64)), initrdMax: 0x1f_ffff, xloadFlags: 1,
  });
  const reach = await refusal(low, { initrd: file("boot.initrd", new Uint8Array(2 * MiB)) });
  assert.match(reach.message, /0x200000/);
  const small = guestMemory(8 * MiB);
  assert.match((await refusal(kernel, { memory: small })).message, /memory\.size/);
  const high = makeElf({ ...elf64, segments: [{ physical: 2 ** 52, bytes: code }] });
  assert.match((await refusal(makeBzImage({ payload: gzipSync(high) }))).message, /memory\.size/);
  const overTables = makeElf({ ...elf64, segments: [{ physical: 0xf_0000, bytes: code }] });
  assert.match((await refusal(makeBzImage({ payload: gzipSync(overTables) }))).message,
    /over firmware/);
});

test("a command line that the kernel cannot take is an error of its key", async () => {
  const kernel = makeBzImage({ payload: gzipSync(makeElf(elf64)), commandLineMax: 20 });
  const problem = await refusal(kernel, { commandLine: "x".repeat(21) });
  assert.equal(problem.key, "boot.cmdline");
  assert.match(problem.message, /21 bytes; allowed: up to 20/);
  await load(kernel, { commandLine: "x".repeat(20) });
});

test("Linux refuses modules, and multiboot kernels features that nobody knows", async () => {
  const modules = [{ ...file("boot.modules", code), commandLine: "m" }];
  assert.equal((await refusal(makeBzImage({}), { modules })).key, "boot.modules");
  const kernel = Buffer.concat([multibootHeader(0x1_0103, [0, 0, 0, 0, 0]), code]);
  assert.match((await refusal(kernel)).message, /demands features 0x103/);
});

test("hostile images load or are refused, and touch nothing but guest memory", async () => {
  const next = randomSource();
  const elf = makeElf({ ...elf64, pvhEntry: kernelAt });
  const images = [
    makeBzImage({ payload: packLz4Literals(makeElf(elf64)) }), makeBzImage({}), elf,
    makeElf({ is64: false, entry: 0x10_0000, segments: [{ physical: 0x10_0000, bytes: code }],
      extra: multibootHeader(3) }),
    Buffer.concat([
      multibootHeader(0x1_0003, [0x20_0000, 0x20_0000, 0, 0, 0x20_0000]), code,
    ]),
  ];
  const memory = guestMemory(memoryBytes);
  const values = [0, 1, 0xff, 0x7f, 0x80, 0xf0];
  let loads = 0;
  for (let round = 0; round < 3000; round += 1) {
    const bytes = Uint8Array.from(images[round % images.length] ?? []);
    const header = round % images.length < 2 ? 0x1f1 : 0;
    for (let changes = next() % 6; changes >= 0; changes -= 1) {
      const at = next() % 2 === 0 ? header + next() % 0x90 : next() % bytes.length;
      bytes[at] = next() % 2 === 0 ? values[next() % values.length] ?? 0 : next() & 0xff;
    }
    const cut = next() % 4 === 0 ? next() % bytes.length : bytes.length;
    try {
      await load(bytes.subarray(0, cut), { memory, initrd: file("boot.initrd", code) });
      loads += 1;
    } catch (error) {
      assert.ok(error instanceof ConfigError,
        `round ${round}: ${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  assert.ok(loads > 100, "most changes are harmless");
});

test("a boot ROM has whole pages and at most 16 MiB", () => {
  const rom = file("bootrom", new Uint8Array(128 * KiB));
  assert.equal(readBootRom(rom), rom.bytes);
  for (const size of [0, 1000, 4097, 16 * MiB + 4096]) {
    assert.throws(() => readBootRom(file("bootrom", new Uint8Array(size))), (error) =>
      error instanceof ConfigError && /multiple of 4096 up to 16 MiB/.test(error.message)
        && error.problems[0]?.key === "bootrom");
  }
});

test("files of a start are read whole, and missing ones are an error of their key", () => {
  const path = folder.put("module", "content");
  const [module, ...others] = readBootModules("boot.modules", ` ${path} one two ; `);
  assert.equal(others.length, 0);
  assert.equal(module?.commandLine, `${path} one two`);
  assert.equal(Buffer.from(module?.bytes ?? []).toString(), "content");
  for (const bad of [folder.file("absent"), folder.path]) {
    assert.throws(() => readBootFile("boot.kernel", bad), (error) =>
      error instanceof ConfigError && error.problems[0]?.value === bad
        && /allowed: /.test(error.message));
  }
});
