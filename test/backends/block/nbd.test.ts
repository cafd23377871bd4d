/** NBD with the programs of others: our client on their servers, their clients on our server. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createLog, silentLog } from "../../../src/base/log.ts";
import { ConfigError, HostError } from "../../../src/base/errors.ts";
import { openNbd, type NbdImage } from "../../../src/backends/block/nbd/client.ts";
import { parseNbdAddress } from "../../../src/backends/block/nbd/address.ts";
import { testFolder } from "../../support/folder.ts";
import { afterEach, assert, randomSource, seed, test } from "../../support/harness.ts";
import { repositoryRoot } from "../../support/paths.ts";
import { run, runWell, testWith } from "../../support/programs.ts";

const folder = testFolder();
const MiB = 1024 * 1024;
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
  }
});

/** Starts a server and waits for its socket. */
async function started(socket: string, program: string, ...args: string[]): Promise<ChildProcess> {
  rmSync(socket, { force: true });
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr?.on("data", (bytes: Buffer) => { errors += bytes.toString(); });
  children.push(child);
  for (let tries = 0; !existsSync(socket); tries += 1) {
    assert.ok(tries < 500 && child.exitCode === null, `${program} serves: ${errors}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  return child;
}

const open = (socket: string, name = "") => openNbd({
  key: "pci.0.3.0", path: `nbd+unix:///${name}?socket=${socket}`, readOnly: false,
}, silentLog);

async function exercise(image: NbdImage, mirror: Uint8Array, rounds: number): Promise<void> {
  const random = randomSource();
  for (let round = 0; round < rounds; round += 1) {
    // Places that do not overlap, all under way at once.
    await Promise.all(Array.from({ length: 16 }, async (_none, index) => {
      const offset = index * (mirror.length / 16) + (random() % 64) * 512;
      const length = (1 + random() % 64) * 512;
      if (random() % 3 === 0) {
        const back = new Uint8Array(length);
        await image.read(offset, back);
        assert.deepEqual(back, mirror.slice(offset, offset + length), `seed ${seed}`);
      } else {
        const data = new Uint8Array(length).fill(random());
        mirror.set(data, offset);
        await image.write(offset, data);
      }
    }));
    if (round % 8 === 0) {
      await image.flush();
    }
  }
}

async function contentOf(image: NbdImage): Promise<Uint8Array> {
  const bytes = new Uint8Array(image.sizeBytes);
  await image.read(0, bytes);
  return bytes;
}

testWith(["nbdkit"], "nbdkit: many requests at once, and what it keeps is what was written",
  async () => {
    const socket = folder.file("nbdkit");
    await started(socket, "nbdkit", "-f", "-U", socket, "memory", "4M");
    const image = await open(socket);
    assert.equal(image.sizeBytes, 4 * MiB);
    const mirror = new Uint8Array(4 * MiB);
    await exercise(image, mirror, 60);
    await image.writeZeroes?.(MiB, MiB);
    mirror.fill(0, MiB, 2 * MiB);
    assert.equal(Buffer.compare(await contentOf(image), mirror), 0);
    image.close();
  });

testWith(["qemu-nbd"], "qemu-nbd: an export by name, flushes and discards", async () => {
  const path = folder.put("disk.raw", new Uint8Array(4 * MiB));
  const socket = folder.file("qemu-nbd");
  await started(socket, "qemu-nbd", "-f", "raw", "-k", socket, "-x", "one disk", "-t",
    "--discard=unmap", path);
  const image = await open(socket, "one%20disk");
  const mirror = new Uint8Array(4 * MiB);
  await exercise(image, mirror, 30);
  await image.flush();
  assert.equal(Buffer.compare(readFileSync(path), mirror), 0);
  await image.discard?.(0, MiB);
  image.close();
  await assert.rejects(open(socket, "another"), /no export of this name/);
});

testWith(["nbdkit"], "errors of the server name it, and are errors of one request only",
  async () => {
    const socket = folder.file("errors");
    await started(socket, "nbdkit", "-f", "-U", socket, "--filter=error", "memory", "1M",
      "error-pread-rate=100%", "error-pread=ENOSPC");
    const image = await open(socket);
    await image.write(0, new Uint8Array(512));
    await assert.rejects(async () => image.read(0, new Uint8Array(512)),
      (error) => error instanceof HostError && /cannot read .*ENOSPC/.test(error.message));
    await image.flush();
    image.close();
  });

testWith(["qemu-nbd"], "a server that is killed again and again loses no request", async () => {
  const path = folder.put("killed.raw", new Uint8Array(4 * MiB));
  const socket = folder.file("killed");
  const serve = () => started(socket, "qemu-nbd", "-f", "raw", "-k", socket, "-t", path);
  let server = await serve();
  const messages: string[] = [];
  const image = await openNbd({
    key: "k", path: `nbd+unix:///?socket=${socket}`, readOnly: false,
  }, createLog((level, message) => messages.push(`${level}: ${message}`)));
  const mirror = new Uint8Array(4 * MiB);
  for (let kill = 0; kill < 5; kill += 1) {
    const work = exercise(image, mirror, 10);
    server.kill("SIGKILL");
    server = await serve();
    await work;
  }
  assert.equal(Buffer.compare(await contentOf(image), mirror), 0, `seed ${seed}`);
  await image.flush();
  image.close();
  assert.equal(Buffer.compare(readFileSync(path), mirror), 0);
  assert.ok(messages.some((text) => /connecting again/.test(text)), messages.join("\n"));
});

async function served(name: string, ...pairs: string[]): Promise<string> {
  const socket = folder.file(name);
  await started(socket, process.execPath, join(repositoryRoot, "bin", "tsbhyve.mjs"), "serve",
    "nbd", "-o", `socket=${socket}`, ...pairs.flatMap((pair) => ["-o", pair]));
  return `nbd+unix:///?socket=${socket}`;
}

testWith(["nbdinfo", "nbdcopy"], "libnbd finds our server in order, and copies", async () => {
  const random = randomSource();
  const content = new Uint8Array(8 * MiB).map(() => random());
  const uri = await served("ours", `path=${folder.put("content.raw", content)}`);
  const described: unknown = JSON.parse(runWell("nbdinfo", "--json", uri));
  assert.match(JSON.stringify(described), /"export-size":8388608/);
  const copy = folder.file("copy.raw");
  runWell("nbdcopy", uri, copy);
  assert.equal(Buffer.compare(readFileSync(copy), content), 0);
  const back = folder.put("back.raw", content.map((byte) => byte ^ 0xff));
  runWell("nbdcopy", back, uri);
  assert.equal(Buffer.compare(readFileSync(folder.file("content.raw")), readFileSync(back)), 0);
});

testWith(["qemu-img", "qemu-io"], "qemu-img reads a qcow2 through our server, and writes it",
  async () => {
    const path = folder.file("served.qcow2");
    runWell("qemu-img", "create", "-q", "-f", "qcow2", path, "8M");
    const uri = await served("qcow2", `path=${path}`);
    runWell("qemu-io", "-f", "raw", "-c", "write -P 0x5a 1M 300k", "-c", "flush",
      "-c", "write -z 1M 64k", "-c", "discard 2M 1M", uri);
    runWell("qemu-img", "compare", "-q", "-f", "raw", "-F", "qcow2", uri, path);
    runWell("qemu-io", "-f", "raw", "-c", "read -P 0x5a 1088k 236k",
      "-c", "read -P 0 1M 64k", uri);
    runWell("qemu-img", "check", "-q", path);
  });

testWith(["qemu-io"], "a disk for reading refuses writes from afar", async () => {
  const path = folder.put("fixed.raw", new Uint8Array(MiB).fill(1));
  const uri = await served("fixed", `path=${path}`, "ro=true");
  assert.notEqual(run("qemu-io", "-f", "raw", "-c", "write 0 4k", uri).status, 0);
  assert.ok(readFileSync(path).every((byte) => byte === 1));
});

test("addresses are read as the NBD specification writes them", () => {
  const at = (text: string) => parseNbdAddress("k", text);
  assert.deepEqual(at("nbd://host"), { at: { host: "host", port: 10809 }, name: "" });
  assert.deepEqual(at("nbd://[::1]:7/a%2fb"), { at: { host: "::1", port: 7 }, name: "a/b" });
  assert.deepEqual(at("nbd+unix:///x?socket=/run/s"), { at: { path: "/run/s" }, name: "x" });
  for (const wrong of ["nbd:///x", "nbd+unix:///x", "nbd+tls://h", "nonsense"]) {
    assert.throws(() => at(wrong), ConfigError);
  }
});

test("a server that is not there is refused at the start", async () => {
  await assert.rejects(open(folder.file("nobody")), ConfigError);
});
