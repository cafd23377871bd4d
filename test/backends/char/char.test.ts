import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { Socket } from "node:net";
import { ConfigError } from "../../../src/base/errors.ts";
import { RingCharBackend, createCharChannel } from "../../../src/backends/char/channel.ts";
import { openCharEndpoint } from "../../../src/backends/char/endpoint.ts";
import { EscapeFilter } from "../../../src/backends/char/escape.ts";
import { conflictingTargets, parseCharTarget, targetText }
  from "../../../src/backends/char/target.ts";
import { WakeWord } from "../../../src/fabric/byte-ring.ts";
import { testFolder } from "../../support/folder.ts";
import { assert, test } from "../../support/harness.ts";

const folder = testFolder();
const key = "lpc.com1.path";

/** A machine's end and the control plane's end of one line. */
async function openLine(value: string) {
  const machineWake = new WakeWord();
  const channel = createCharChannel(machineWake);
  const endpoint = await openCharEndpoint({
    key, target: parseCharTarget(key, value), channel, onQuit: () => {},
  });
  const machine = new RingCharBackend(channel.parts);
  const print = (text: string) => {
    for (const byte of Buffer.from(text)) assert.equal(machine.put(byte), true);
  };
  /** Reads until `length` bytes have come. */
  const type = async (length: number) => {
    let text = "";
    while (text.length < length) {
      const seen = machineWake.count();
      const byte = machine.get();
      if (byte >= 0) text += String.fromCharCode(byte);
      else await machineWake.changed(seen);
    }
    return text;
  };
  const finish = async () => {
    machine.close();
    await endpoint.finish();
  };
  return { channel, endpoint, machine, print, type, finish };
}

async function refusal(value: string): Promise<string> {
  try {
    await (await openLine(value)).finish();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail(`${value} was accepted`);
}

/** Collects a socket's bytes; `until` resolves when the text has come. */
function reader(socket: Socket) {
  let text = "";
  socket.on("data", (bytes) => { text += bytes.toString("latin1"); });
  const until = async (wanted: string) => {
    while (!text.includes(wanted)) await once(socket, "data");
  };
  return { until, text: () => text };
}

test("targets are read as their users write them", () => {
  for (const value of ["stdio", "pty", "/dev/nmdm0A", "unix:/run/a b", "file:out.log",
    "tcp=127.0.0.1:0", "tcp=[::1]:65535"]) {
    assert.equal(targetText(parseCharTarget(key, value)), value);
  }
  assert.deepEqual(parseCharTarget(key, "socket,/x,y"), { kind: "unix", path: "/x,y" });
  assert.deepEqual(parseCharTarget(key, "STDIO"), { kind: "tty", path: "STDIO" });
});

test("malformed targets are refused with key, value and what is allowed", () => {
  for (const value of ["", "unix:", "file:", "socket,", "tcp=", "tcp=1.2.3.4", "tcp=:80",
    "tcp=localhost:80", "tcp=1.2.3.4:99999", "tcp=1.2.3.4:-1", "tcp=::1:80", "tcp=[1.2.3.4]:80",
    "tcp=1.2.3.4:80x", "unix:/a\0b", `unix:/${"x".repeat(200)}`]) {
    assert.throws(() => parseCharTarget(key, value), (error) => error instanceof ConfigError
      && error.problems[0]?.key === key && error.problems[0].value === value, value);
  }
});

test("the terminal, a device and a socket have one user; new ptys any number", () => {
  const uses = ["stdio", "pty", "unix:/a", "stdio", "pty", "unix:/a", "tcp=[::1]:1", "tcp=[::1]:2"]
    .map((value, index) => ({ key: `lpc.com${index}.path`, target: parseCharTarget("", value) }));
  assert.deepEqual(conflictingTargets(uses).map((problem) => problem.key),
    ["lpc.com3.path", "lpc.com5.path"]);
});

test("a UNIX socket carries both directions, and its file goes away at the end", async () => {
  const path = folder.file("line.sock");
  const line = await openLine(`unix:${path}`);
  const client = connect({ path });
  await once(client, "connect");
  client.write("typed");
  assert.equal(await line.type(5), "typed");
  const seen = reader(client);
  line.print("printed\n");
  await seen.until("printed\n");
  line.print("last words");
  await line.finish();
  await seen.until("last words");
  await once(client, "close");
  assert.equal(existsSync(path), false);
});

test("one client at a time; the next one may come when the first has gone", async () => {
  const path = folder.file("one.sock");
  const line = await openLine(`unix:${path}`);
  const first = connect({ path });
  first.write("a");
  assert.equal(await line.type(1), "a");
  const second = connect({ path });
  await once(second, "close");
  first.destroy();
  const typed = line.type(1);
  for (let letter = ""; letter !== "b";) {
    const third = connect({ path });
    // A client that is turned away may see an error of its write; either way it closes.
    third.on("error", () => {});
    const turnedAway = new Promise<string>((resolve) => {
      third.once("close", () => resolve("turned away"));
    });
    third.write("b");
    letter = await Promise.race([typed, turnedAway]);
    third.destroy();
  }
  await line.finish();
});

test("a socket file that nobody serves is replaced; one that is served is not", async () => {
  const path = folder.file("stale.sock");
  spawnSync(process.execPath, ["-e", "require('net').createServer().listen(process.argv[1],"
    + "()=>process.kill(process.pid,'SIGKILL'))", path]);
  assert.equal(existsSync(path), true);
  await (await openLine(`unix:${path}`)).finish();

  const server = createServer().listen(path);
  await once(server, "listening");
  assert.match(await refusal(`unix:${path}`), /another process serves this socket/);
  server.close();
  writeFileSync(path, "precious");
  assert.match(await refusal(`unix:${path}`), /no socket/);
  assert.equal(readFileSync(path, "latin1"), "precious");
});

test("a TCP port of the host's choice is announced and works", async () => {
  const line = await openLine("tcp=127.0.0.1:0");
  const port = Number(/^tcp=127\.0\.0\.1:([0-9]+)$/.exec(line.endpoint.announcement ?? "")?.[1]);
  const client = connect({ host: "127.0.0.1", port });
  client.write("x");
  assert.equal(await line.type(1), "x");
  client.destroy();
  await line.finish();
});

test("a busy port is refused", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  assert.match(await refusal(`tcp=127.0.0.1:${port}`), /^lpc\.com1\.path=.*EADDRINUSE/);
  server.close();
});

test("a client that does not read makes the UART wait, and loses nothing", async () => {
  const path = folder.file("slow.sock");
  const line = await openLine(`unix:${path}`);
  const client = connect({ path });
  client.write("!");
  await line.type(1); // Now the client is known.
  client.pause();
  const limit = 64 * 1024 * 1024;
  let sent = 0;
  for (let refused = 0; refused < 50 && sent < limit;) {
    if (line.machine.put(sent & 0xff)) {
      sent += 1;
      refused = 0;
    } else {
      refused += 1;
      await new Promise((resolve) => { setImmediate(resolve); });
    }
  }
  assert.ok(sent < limit, "the host's memory does not grow with what the guest prints");
  let received = 0;
  client.on("data", (bytes) => {
    for (const byte of bytes) {
      if (byte !== (received & 0xff)) assert.fail(`byte ${received} is out of order`);
      received += 1;
    }
  });
  client.resume();
  await line.finish();
  await once(client, "close");
  assert.equal(received, sent);
});

test("input waits in the host while the guest does not read, and arrives whole", async () => {
  const path = folder.file("fast.sock");
  const line = await openLine(`unix:${path}`);
  const client = connect({ path });
  const length = 300_000;
  client.write("0123456789".repeat(length / 10));
  const text = await line.type(length);
  assert.equal(text, "0123456789".repeat(length / 10));
  client.destroy();
  await line.finish();
});

test("a file gets the output appended", async () => {
  const path = folder.put("out.log", "before\n");
  const line = await openLine(`file:${path}`);
  line.print("after\n");
  await line.finish();
  assert.equal(readFileSync(path, "latin1"), "before\nafter\n");
});

test("what is no terminal is refused as a device", async () => {
  assert.match(await refusal("/dev/null"), /^lpc\.com1\.path="\/dev\/null": is no terminal/);
  assert.match(await refusal(folder.file("none")), /ENOENT/);
  assert.match(await refusal("file:/nowhere/at/all"), /ENOENT/);
});

function escaped(...pieces: string[]): string {
  const filter = new EscapeFilter();
  let out = "";
  for (const piece of pieces) {
    const { bytes, quit } = filter.feed(Buffer.from(piece, "latin1"));
    out += Buffer.from(bytes).toString("latin1") + (quit ? "<quit>" : "");
  }
  return out;
}

test("~. after a newline and Ctrl-A x leave, even when they come in pieces", () => {
  assert.equal(escaped("~."), "<quit>");
  assert.equal(escaped("ls\r~.more"), "ls\r<quit>");
  assert.equal(escaped("\r", "~", "."), "\r<quit>");
  assert.equal(escaped("a\x01x"), "a<quit>");
  assert.equal(escaped("a", "\x01", "x"), "a<quit>");
  assert.equal(escaped("~\x01x"), "~<quit>");
});

test("everything else reaches the guest", () => {
  assert.equal(escaped("cd ~.\r"), "cd ~.\r");
  assert.equal(escaped("\r~~."), "\r~.");
  assert.equal(escaped("\r~/x\r"), "\r~/x\r");
  assert.equal(escaped("~\r~."), "~\r<quit>");
  assert.equal(escaped("\x01\x01"), "\x01");
  assert.equal(escaped("\x01e"), "\x01e");
  assert.equal(escaped("\x01c", "ok"), "ok");
  assert.equal(escaped("\xff\x00\x03\x1a"), "\xff\x00\x03\x1a");
});
