import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { listFolder } from "../../src/host/folders.ts";
import type { CommandResult, RunCommand } from "../../src/runner/debian/command.ts";
import { fetchLinux, type FetchOptions } from "../../src/runner/debian/linux-packages.ts";
import { stagesOn } from "../../src/runner/stages.ts";
import { afterEach, assert, test } from "../support/harness.ts";
import { moduleOf, packageOf, tarOf } from "./archives.ts";

const folders: string[] = [];

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tsbhyve-apt-"));
  folders.push(folder);
  return folder;
}

afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })));

const drivers = "lib/modules/6.1.0-9-cloud-amd64/kernel/drivers";
const kernelPackage = packageOf("data.tar.gz", gzipSync(tarOf([
  { path: "./boot/vmlinuz-6.1.0-9-cloud-amd64", content: "the kernel" },
  { path: `./${drivers}/virtio/virtio.ko`, content: moduleOf("") },
  { path: `./${drivers}/virtio/virtio_pci.ko`, content: moduleOf("virtio") },
  { path: `./${drivers}/block/virtio_blk.ko`, content: moduleOf("virtio") },
  { path: `./${drivers}/char/hw_random/virtio-rng.ko`, content: moduleOf("virtio") },
  { path: `./${drivers}/net/virtio_net.ko`, content: moduleOf("net_failover") },
])));
const busyboxPackage = packageOf("data.tar",
  tarOf([{ path: "./bin/busybox", content: "busybox" }]));

const kernelFile = "linux-image-6.1.0-9-cloud-amd64_6.1.9-1_amd64.deb";
const busyboxFile = "busybox-static_1%3a1.35.0-4_amd64.deb";
const archives: ReadonlyMap<string, Uint8Array> = new Map([
  [kernelFile, kernelPackage], [busyboxFile, busyboxPackage],
]);

interface FakeApt {
  /** The lists of the system know the packages; else only those that `update` reads do. */
  readonly listsKnow?: boolean;
  readonly updateWorks?: boolean;
  readonly downloadWorks?: boolean;
  /** Changes what `download` writes. */
  readonly damage?: (content: Uint8Array) => Uint8Array;
}

/** An apt of a few lines; `calls` gets what it was asked. */
function fakeApt(apt: FakeApt, calls: string[]): RunCommand {
  let know = apt.listsKnow ?? true;
  const answer = (output: string): CommandResult => ({ status: 0, output, errors: "" });
  const refuse = (errors: string): CommandResult => ({ status: 100, output: "", errors });
  return async (_program, words, folder) => {
    const verb = words.find((word) => ["show", "update", "download", "--version"].includes(word));
    const call = words.includes("--print-uris") ? "print-uris" : verb ?? "?";
    calls.push(call);
    switch (call) {
      case "--version": return answer("apt 2.6.1");
      case "update":
        know = apt.updateWorks ?? true;
        return know ? answer("") : refuse("W: a warning\nE: Could not resolve the server\n");
      case "show":
        return know
          ? answer("Package: linux-image-cloud-amd64\n"
            + "Depends: linux-image-6.1.0-9-cloud-amd64 (= 6.1.9-1), other\n")
          : refuse("E: No packages found\n");
      case "print-uris":
        return answer([...archives].map(([name, content]) => {
          const digest = createHash("sha256").update(content).digest("hex");
          return `'http://deb.example/pool/${name}' ${name} ${content.length} SHA256:${digest}\n`;
        }).join(""));
      case "download":
        if (apt.downloadWorks === false) {
          return refuse("E: Failed to fetch\n");
        }
        for (const [name, content] of archives) {
          writeFileSync(join(folder, name), (apt.damage ?? ((same) => same))(content));
        }
        return answer("");
      default: return refuse(`E: Invalid operation ${call}\n`);
    }
  };
}

function options(run: RunCommand, cache = newFolder()): FetchOptions {
  const stages = stagesOn({ write: () => {} });
  return { cache, stages, run, hostArchitecture: "x64", update: false };
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

test("the kernel behind the meta package, its modules and busybox are fetched once", async () => {
  const calls: string[] = [];
  const wanted = options(fakeApt({}, calls));
  const first = await fetchLinux(wanted);
  assert.equal(first.kernelPackage, "linux-image-6.1.0-9-cloud-amd64_6.1.9-1_amd64");
  assert.equal(text(first.busybox), "busybox");
  assert.deepEqual(first.modules.map(({ fileName }) => fileName),
    ["virtio.ko", "virtio_pci.ko", "virtio_blk.ko", "virtio-rng.ko"]);
  assert.deepEqual(calls, ["--version", "show", "print-uris", "download"]);
  assert.deepEqual(await fetchLinux(wanted), first);
  assert.equal(calls.length, 4, "the second time, apt is not asked");
  assert.deepEqual(listFolder(wanted.cache), ["apt", "debian"], "no temporary folder is left");
});

test("lists that do not know the packages are read anew, into our folder", async () => {
  const calls: string[] = [];
  const parts = await fetchLinux(options(fakeApt({ listsKnow: false }, calls)));
  assert.equal(text(parts.busybox), "busybox");
  assert.deepEqual(calls, ["--version", "show", "update", "show", "print-uris", "download"]);
});

test("a host without apt, or without a network, is told why", async () => {
  const noApt: RunCommand = async () => ({ status: undefined, output: "", errors: "ENOENT" });
  await assert.rejects(fetchLinux(options(noApt)),
    { name: "NoPackagesError", message: "this host has no apt-get" });
  const offline = fakeApt({ listsKnow: false, updateWorks: false }, []);
  await assert.rejects(fetchLinux(options(offline)), {
    name: "NoPackagesError",
    message: "this host's apt knows no package linux-image-cloud-amd64; "
      + "apt-get update failed: E: Could not resolve the server",
  });
  const broken = fakeApt({ downloadWorks: false, updateWorks: false }, []);
  await assert.rejects(fetchLinux(options(broken)), {
    name: "NoPackagesError",
    message: "apt-get download failed: E: Failed to fetch; "
      + "apt-get update failed: E: Could not resolve the server",
  });
});

test("apt is told that an update which reached no server has failed", async () => {
  const words: string[] = [];
  const run = fakeApt({ listsKnow: false }, []);
  await fetchLinux(options((program, given, folder) => {
    words.push(given.join(" "));
    return run(program, given, folder);
  }));
  assert.ok(words.some((call) => call.endsWith("APT::Update::Error-Mode=any update")));
});

test("without a network, an update goes on with what is there", async () => {
  const wanted = options(fakeApt({}, []));
  const first = await fetchLinux(wanted);
  const said: string[] = [];
  const again = await fetchLinux({
    ...wanted, update: true, run: fakeApt({ updateWorks: false }, []),
    stages: { say: (text) => said.push(text), progress: () => {} },
  });
  assert.deepEqual(again, first);
  assert.match(said.at(-1) ?? "", /^no newer packages: apt-get update failed/);
});

test("a package that differs from what apt promised is not unpacked", async () => {
  const flipped = (content: Uint8Array) => content.map((byte, at) => at === 200 ? byte ^ 1 : byte);
  const wanted = options(fakeApt({ damage: flipped }, []));
  await assert.rejects(fetchLinux(wanted), /does not have the SHA256 that apt promised/);
  const short = fakeApt({ damage: (content) => content.subarray(1) }, []);
  await assert.rejects(fetchLinux(options(short)), /apt promised/);
  assert.deepEqual(listFolder(join(wanted.cache, "debian")), []);
});

test("stages are lines, with quarters of the way for a file and percents for a terminal", () => {
  for (const [isTTY, expected] of [
    [false, "== first\n== first: 25 %\n== first: 100 %\n== second\n"],
    [true, "== first\r== first: 25 %\r== first: 26 %\r== first: 100 %\n== second"],
  ] as const) {
    let output = "";
    const stages = stagesOn({ isTTY, write: (part) => { output += part; } });
    stages.say("first");
    [0, 0.25, 0.26, 0.26, 1].forEach((fraction) => stages.progress(fraction));
    stages.say("second");
    assert.equal(output, expected);
  }
});
