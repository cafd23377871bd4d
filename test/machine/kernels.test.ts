/** Kernels of other kinds than bzImage, as they come from a compiler and from Debian. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { exitStatus } from "../../src/base/errors.ts";
import { readBootFile } from "../../src/firmware/boot-file.ts";
import { ImageReader } from "../../src/firmware/image-reader.ts";
import { packingOf, unpack } from "../../src/firmware/unpack.ts";
import { runWatched } from "../../src/runner/machine-process.ts";
import { debianGuest } from "../support/debian.ts";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest, test } from "../support/harness.ts";
import { repositoryRoot, testFile } from "../support/paths.ts";

const folder = testFolder();
const limitMs = 120_000;

async function run(kernel: string, args: readonly string[]) {
  let output = "", errors = "";
  const program = [process.execPath, join(repositoryRoot, "bin", "tsbhyve.mjs"),
    "-m", "256M", "-s", "0,hostbridge", "-s", "31,lpc", "-l", "com1,stdio",
    "-o", `boot.kernel=${kernel}`, ...args, "kernel"];
  const end = await runWatched(program, {
    limitMs,
    onOutput: (text) => { output += text; },
    onErrors: (text) => { errors += text; },
  });
  return { ...end, output, errors };
}

/** Compiles the kernel in test/machine/kernels; undefined where there is no compiler. */
function multibootKernel(): string | undefined {
  const path = folder.file("multiboot.elf");
  const { status, stderr } = spawnSync("gcc", [
    "-m32", "-O1", "-ffreestanding", "-fno-pie", "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables", "-nostdlib", "-static",
    "-Wl,--build-id=none", "-Wl,-melf_i386", "-Wl,--no-warn-rwx-segments",
    "-T", testFile("machine", "kernels", "multiboot.ld"), "-o", path,
    testFile("machine", "kernels", "multiboot.c"),
  ], { encoding: "utf8" });
  assert.ok(status === null || status === 0, stderr);
  return status === null ? undefined : path;
}

const multiboot = multibootKernel();
const multibootName = "a multiboot kernel gets its command line, modules and memory map";
if (multiboot === undefined) {
  skipTest(multibootName, "gcc is not installed");
} else {
  test(multibootName, async () => {
    const first = folder.put("first", "one\n"), second = folder.put("second", "two");
    const { status, output, errors } = await run(multiboot, [
      "-o", "boot.cmdline=root=none a b", "-o", `boot.modules=${first} with arguments; ${second}`,
    ]);
    assert.equal(status, exitStatus.powerOff, errors);
    const expected = [
      "magic=right", "bss=0", "paging=0", `flags=${0x4d}`, "lower=640", `upper=${255 * 1024}`,
      "command=root=none a b", "loader=tsbhyve",
      `module=${first} with arguments`, "aligned=1", "bytes=4", "content=one", "",
      `module=${second}`, "aligned=1", "bytes=3", "content=two", `ram=${640 + 255 * 1024}`, "",
    ];
    assert.deepEqual(output.split(/\r?\n/), expected);
  });
}

/** The ELF file inside Debian's bzImage (Documentation/arch/x86/boot.rst: payload_offset). */
function vmlinuxOf(kernelPath: string): string {
  const image = new ImageReader(readBootFile("boot.kernel", kernelPath));
  const setupBytes = (image.u8(0x1f1) + 1) * 512;
  const payload = image.part(setupBytes + image.u32(0x248), image.u32(0x24c));
  const packing = packingOf(payload);
  assert.ok(packing !== undefined);
  return folder.put("vmlinux", unpack(image, payload, packing));
}

const guest = debianGuest();
const pvhName = "Debian's vmlinux starts by its PVH note, with command line, map and initrd";
if ("reason" in guest) {
  skipTest(pvhName, guest.reason);
} else {
  test(pvhName, async () => {
    const { status, output, errors } = await run(vmlinuxOf(guest.kernelPath), [
      "-o", `boot.initrd=${guest.initrdPath}`,
      // The word of a panic that reboots at once: there is no program of this name.
      "-o", "boot.cmdline=console=ttyS0 earlyprintk=ttyS0 rdinit=/none root=/none panic=-1",
    ]);
    assert.match(errors, /PVH kernel, 64-bit ELF/);
    assert.match(output, /Linux version 6\./);
    assert.match(output, /Command line: console=ttyS0 earlyprintk=ttyS0 rdinit=\/none/);
    assert.match(output, /BIOS-e820: \[mem 0x0000000000100000-0x000000000fffffff\] usable/);
    assert.match(output, /Freeing initrd memory/);
    assert.match(output, /Kernel panic - not syncing: VFS: Unable to mount root fs/);
    assert.equal(status, exitStatus.reset, errors);
  });
}
