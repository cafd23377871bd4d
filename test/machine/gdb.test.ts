/** Debian's gdb on a guest: registers, memory, breakpoints, single steps, and letting go. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { encodePacket } from "../../src/machine/gdb/packets.ts";
import { romOf } from "../support/boot.ts";
import { testFolder } from "../support/folder.ts";
import { assert, skipTest } from "../support/harness.ts";
import { assemble, assemblyTest } from "../support/nasm.ts";
import { repositoryRoot } from "../support/paths.ts";

const folder = testFolder();
const limitMs = 60_000;

interface Debugged {
  readonly status: number | null;
  /** What gdb printed. */
  readonly output: string;
  readonly serial: string;
}

/** Runs 16-bit code at F000:0000, which gdb.wait keeps from starting, under gdb's commands. */
function debug(code: string, commands: readonly string[]): Promise<Debugged> {
  const rom = folder.put("debug.rom", romOf([...assemble(code, { bits: 16, origin: 0 })]));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(repositoryRoot, "bin", "tsbhyve.mjs"),
      "-m", "16M", "-s", "0,hostbridge", "-s", "31,lpc", "-l", "com1,stdio",
      "-o", `bootrom=${rom}`, "-G", "w0", "gdb"], { stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    let serial = "", errors = "", output = "", isAsked = false;
    child.stdout.on("data", (bytes: Buffer) => { serial += bytes.toString("latin1"); });
    child.stderr.on("data", (bytes: Buffer) => {
      errors += bytes.toString();
      const [, port] = /gdb\.port: .*:(\d+)/.exec(errors) ?? [];
      if (port !== undefined && !isAsked) {
        isAsked = true;
        const words = ["set confirm off", `target remote 127.0.0.1:${port}`, ...commands];
        const gdb = spawn("gdb", ["-nx", "-batch", ...words.flatMap((word) => ["-ex", word])]);
        gdb.stdout.on("data", (part: Buffer) => { output += part.toString(); });
        gdb.stderr.on("data", (part: Buffer) => { output += part.toString(); });
      }
    });
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, output: output + errors, serial });
    });
  });
}

/** Where the copy is complete. */
const copiedOffset = 0x40;
/** Copies the rest of itself to 0000:0600 and goes on there. */
const inMemory = `
    copied equ ${copiedOffset}
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov sp, 0x7000
    mov ss, ax
    cld
    mov si, body
    mov di, 0x600
    mov cx, 64
    cs rep movsb
    mov word [0x500], 0x1234
    times copied - ($ - $$) nop
    jmp 0:0x600
  body:
    mov bx, [0x500]             ; 600
    inc bx                      ; 604
    mov cx, 3                   ; 605
    loop $                      ; 608
    mov dx, 0x3f8               ; 60a
    mov al, bl                  ; 60d
    out dx, al                  ; 60f
    mov dx, 0x404               ; 610
    mov ax, 0x3400
    out dx, ax
    hlt
`;

const hasGdb = spawnSync("gdb", ["--version"]).status === 0;
const gdbName = "gdb sees registers and memory, stops at a breakpoint, steps, and lets go";
if (!hasGdb) {
  skipTest(gdbName, "gdb is not installed");
} else {
  assemblyTest(gdbName, async () => {
    const { status, output, serial } = await debug(inMemory, [
      // In the ROM's shadow first: the guest has not copied itself yet.
      "print/x $rip", "print/x $cs", `break *${0xf_0000 + copiedOffset}`, "continue", "delete",
      "break *0x604", "continue", "print/x $rbx", "x/2xb 0x500",
      "x/1xb 0x604", "stepi", "print/x $rip", "print/x $rbx", "set var $rbx = 0x41",
      "set {char}0x501 = 0x77", "x/1xb 0x501", "stepi", "stepi", "print $rcx", "delete", "detach",
    ]);
    assert.match(output, /\$1 = 0xfff0/);
    assert.match(output, /\$2 = 0xf000/);
    assert.match(output, /Breakpoint 2, 0x0*604/);
    assert.match(output, /\$3 = 0x1234/);
    assert.match(output, /0x500:\s+0x34\s+0x12/);
    assert.match(output, /0x604:\s+0x43/, "gdb does not see its own breakpoint");
    assert.match(output, /\$4 = 0x605/);
    assert.match(output, /\$5 = 0x1235/);
    assert.match(output, /0x501:\s+0x77/);
    assert.match(output, /\$6 = 2/);
    assert.equal(serial, "A", "the register that gdb has set");
    assert.equal(status, 1, output);
  });
}

/** Talks to the stub itself; returns what came back once `until` matches. */
async function talk(port: number, steps: readonly (readonly [send: string, until: RegExp])[]) {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  let heard = "", all = "";
  for (const [send, until] of steps) {
    heard = "";
    socket.write(Buffer.from(send, "latin1"));
    const limit = AbortSignal.timeout(limitMs);
    while (!until.test(heard)) {
      const [part]: unknown[] = await once(socket, "data", { signal: limit });
      heard += String(part);
    }
    all += heard;
  }
  socket.destroy();
  return all;
}

assemblyTest("a running guest is interrupted; what is no packet harms nobody", async () => {
  const rom = folder.put("spin.rom", romOf([...assemble("xor cx, cx\nagain: inc cx\njmp again",
    { bits: 16, origin: 0 })]));
  const child = spawn(process.execPath, [join(repositoryRoot, "bin", "tsbhyve.mjs"),
    "-m", "16M", "-o", `bootrom=${rom}`, "-G", "0", "gdb"],
  { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.on("data", (bytes: Buffer) => { errors += bytes.toString(); });
  while (!/gdb\.port: .*:\d+/.test(errors)) {
    await once(child.stderr, "data");
  }
  const port = Number(/gdb\.port: .*:(\d+)/.exec(errors)?.[1]);
  const packet = encodePacket;
  await talk(port, [
    [packet("?"), /\+\$T05thread:1;#/], // It was running, and stands still now.
    ["$?#00", /-/], // A wrong sum.
    [`$${"x".repeat(100_000)}${packet("g")}`, /\+\$[0-9a-fx]{552}#/],
    [packet("m0,zz"), /\$E01#/],
    [packet("m0,ffffffff"), /\$(00){16}/],
    [packet("mfee00000,4"), /\$E0e#/], // A device is no memory.
    [packet("vMustReplyEmpty"), /\$#00/],
    [packet("c"), /\+/],
    ["\x03", /\$T02thread:1;#/],
    [packet("D"), /\$OK#/],
  ]);
  child.kill("SIGTERM");
  const [status]: unknown[] = await once(child, "close");
  assert.equal(status, 143, "the guest ran on: it is deaf to the power button");
});
