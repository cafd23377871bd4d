/** The program as a user starts it: two threads, signals, statuses. */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { romOf } from "../support/boot.ts";
import { testFolder } from "../support/folder.ts";
import { assert, test } from "../support/harness.ts";
import { repositoryRoot } from "../support/paths.ts";

const folder = testFolder();
const program = join(repositoryRoot, "bin", "tsbhyve.mjs");

interface Ran {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

interface RunOptions {
  readonly input?: string;
  /** Sent, one after the other, each time the guest has written one more byte. */
  readonly signals?: readonly NodeJS.Signals[];
}

function tsbhyve(args: readonly string[], { input, signals = [] }: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { stdio: "pipe" });
    const left = [...signals];
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString("latin1");
      const next = left.shift();
      if (next !== undefined) {
        child.kill(next);
      }
    });
    child.stderr.on("data", (chunk: Buffer) => { errors += chunk.toString(); });
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, output, errors }));
    if (input !== undefined) {
      child.stdin.write(input);
    }
  });
}

function romArgs(name: string, code: readonly number[], com1 = "stdio"): string[] {
  return ["-m", "16M", "-o", `bootrom=${folder.put(name, romOf(code))}`,
    "-s", "31,lpc", "-o", `lpc.com1.path=${com1}`, "test"];
}

/** Echoes from COM1 until it has read a 'q', then powers off by ACPI. */
const echo = [
  0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xf8, // 0: wait for the data-ready bit
  0xba, 0xf8, 0x03, 0xec, 0xee, // read and write the byte
  0x3c, 0x71, 0x75, 0xef, // until 'q'
  0xba, 0x04, 0x04, 0xb8, 0x00, 0x34, 0xef, 0xeb, 0xfe, // power off
];

/** Writes one byte, then spins with interrupts off. */
const spin = [0xfa, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xeb, 0xfe];

test("bytes go through both threads in both directions, and the status comes back", async () => {
  const ran = await tsbhyve(romArgs("echo.rom", echo), { input: "hello q" });
  assert.equal(ran.output, "hello q");
  assert.equal(ran.status, 1, ran.errors);
});

test("SIGTERM ends a guest that has no ACPI driver, as it ends other programs", async () => {
  const ran = await tsbhyve(romArgs("spin.rom", spin), { signals: ["SIGTERM"] });
  assert.equal(ran.status, 143, ran.errors);
});

/** ACPI on, power button enabled, one byte; then a byte for every press and never an end. */
const stubborn = [
  0xfa, 0xb0, 0xa0, 0xe6, 0xb2, 0xba, 0x02, 0x04, 0xb8, 0x00, 0x01, 0xef, // ACPI on, PM1_EN
  0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, // 'A'
  0xba, 0x00, 0x04, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xf7, // wait for PWRBTN_STS
  0xef, 0xeb, 0xee, // clear it, and say so
];

test("a first SIGINT is the power button, a second one ends hard", async () => {
  const ran = await tsbhyve(romArgs("stubborn.rom", stubborn), { signals: ["SIGINT", "SIGINT"] });
  assert.equal(ran.output, "AA");
  assert.equal(ran.status, 130, ran.errors);
});

test("errors of back ends name the key, end with 4, and leave nothing behind", async () => {
  const socket = folder.file("com2");
  const disk = await tsbhyve(["-s", "3,virtio-blk,/no/such/disk",
    "-o", `lpc.com2.path=unix:${socket}`, ...romArgs("a.rom", echo)]);
  assert.equal(disk.status, 4);
  assert.match(disk.errors, /pci\.0\.3\.0\.path="\/no\/such\/disk"/);
  const line = await tsbhyve(["-o", "lpc.com3.path=file:/no/such/folder/x",
    "-o", `lpc.com2.path=unix:${socket}`, ...romArgs("b.rom", echo)]);
  assert.equal(line.status, 4);
  assert.match(line.errors, /lpc\.com3\.path/);
  assert.equal(existsSync(socket), false);
});

test("a serial line may be a file, and no file has to be writable otherwise", async () => {
  const file = folder.file("serial.txt");
  // Prints 'B', then resets by 0xCF9.
  const ran = await tsbhyve(romArgs("off.rom", [
    0xba, 0xf8, 0x03, 0xb0, 0x42, 0xee, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xeb, 0xfe,
  ], `file:${file}`));
  assert.equal(ran.status, 0, ran.errors);
  assert.equal(readFileSync(file, "latin1"), "B");
});
