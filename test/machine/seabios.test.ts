/** SeaBIOS (Debian package seabios) from the reset vector to a disk's boot sector, and no disk. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest } from "../support/harness.ts";
import { assemble, assemblyTest } from "../support/nasm.ts";
import { repositoryRoot } from "../support/paths.ts";

const folder = testFolder();
const limitMs = 120_000;
/** The file by which SeaBIOS learns the port of its serial console: COM1. */
const consoleFile = folder.put("sercon-port", Uint8Array.of(0xf8, 0x03));

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

/** Runs tsbhyve until it ends; `until` in its output ends it with a signal. */
function run(rom: string, args: readonly string[], until?: RegExp): Promise<Ran> {
  const words = [
    "-m", "64M", "-o", `bootrom=${rom}`, "-s", "0,hostbridge", "-s", "31,lpc", "-l", "com1,stdio",
    "-o", "lpc.fwcfg=qemu", "-f", `etc/sercon-port,file=${consoleFile}`, ...args, "seabios",
  ];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(repositoryRoot, "bin", "tsbhyve.mjs"), ...words],
      { stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    let output = "", asked = false;
    const hear = (bytes: Buffer) => {
      output += bytes.toString("latin1");
      if (!asked && until?.test(output) === true) {
        asked = true;
        child.kill("SIGTERM");
      }
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, output });
    });
  });
}

/** What a boot sector does: reads a sector, walks the memory map, finds ACPI's root pointer, says
 * so by the video service, and powers off. */
const bootSector = `
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov sp, 0x7c00
    mov si, packet
    mov ah, 0x42                ; extended read
    int 0x13
    mov si, noRead
    jc say
    cmp dword [0x8000], 'mark'
    jne say
    xor ebx, ebx                ; the memory map
    xor ebp, ebp
  .range:
    mov eax, 0xe820
    mov edx, 'PAMS'
    mov ecx, 24
    mov di, 0x9000
    int 0x15
    mov si, noMap
    jc say
    cmp dword [0x9010], 1
    jne .next
    add ebp, [0x9008]
  .next:
    test ebx, ebx
    jnz .range
    cmp ebp, 63 << 20
    jb say
    mov ax, 0xe000              ; ACPI's root pointer, at a multiple of 16 below 1 MiB
    mov si, noTables
  .search:
    mov es, ax
    cmp dword [es:0], 'RSD '
    jne .further
    cmp dword [es:9], 'BHYV'
    je .found
  .further:
    inc ax
    jnz .search
    jmp say
  .found:
    mov si, allThere
  say:
    lodsb
    test al, al
    jz .end
    mov ah, 0x0e
    mov bx, 7
    int 0x10
    jmp say
  .end:
    mov ah, 0x86                ; 200 ms, in which the serial console empties
    mov cx, 3
    mov dx, 0x0d40
    int 0x15
    mov dx, 0x404               ; sleep type 5
    mov ax, 0x3400
    out dx, ax
    hlt
  packet: db 16, 0
    dw 1, 0x8000, 0
    dq 1
  allThere: db "disk, memory map and ACPI are there", 13, 10, 0
  noRead: db "no disk", 13, 10, 0
  noMap: db "no memory map", 13, 10, 0
  noTables: db "no ACPI", 13, 10, 0
    times 510 - ($ - $$) db 0
    dw 0xaa55
    db "mark"
    times 512 - 4 db 0
`;

/** SeaBIOS of more than 128 KiB moves itself into RAM, and for that it must know the chipset. */
const qemuChipset = [
  ["vendor", "8086"], ["device", "1237"], ["subvendor", "1af4"], ["subdevice", "1100"],
].flatMap(([name, value]) => ["-o", `pci.0.0.0.pcireg.${name}=${value}`]);

function seabiosTest(name: string, rom: string, body: () => Promise<void>): void {
  if (existsSync(rom)) {
    assemblyTest(name, body);
  } else {
    skipTest(name, `${rom} is missing (package seabios)`);
  }
}

const large = "/usr/share/seabios/bios-256k.bin", small = "/usr/share/seabios/bios.bin";

seabiosTest("SeaBIOS boots a virtio disk, with our memory map and ACPI tables", large, async () => {
  const disk = folder.put("disk", new Uint8Array(1 << 20));
  const image = new Uint8Array(1 << 20);
  image.set(assemble(bootSector, { bits: 16, origin: 0x7c00 }));
  folder.put("disk", image);
  const { status, output } = await run(large,
    [...qemuChipset, "-s", `3,virtio-blk,${disk},bootindex=1`]);
  assert.match(output, /SeaBIOS \(version/);
  assert.match(output, /disk, memory map and ACPI are there/);
  assert.equal(status, 1, output);
});

seabiosTest("SeaBIOS without a disk says so, on our own host bridge", small, async () => {
  const { output } = await run(small, [], /No bootable device/);
  assert.match(output, /No bootable device/);
});
