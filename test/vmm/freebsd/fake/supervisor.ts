/**
 * `node supervisor.js VERSION LAUNCHER PROGRAM ARGUMENT...` runs a program that sees the /dev/vmm
 * of a FreeBSD version: its opens and ioctls come here (seccomp_unotify(2)), all others go on.
 * Ends with the program's status.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { checked, requireNative, type NativeAddon } from "../../../../src/host/native.ts";
import { Fact, Facts } from "./facts.ts";
import { EEXIST, EINVAL, ENOENT, ENOTTY, FakeVm, type Answer, type ClientMemory } from "./vm.ts";

const ioctls = { receive: 0xc050_2100, send: 0xc018_2101, isValid: 0x4008_2102, add: 0x4018_2103 };
const calls = { write: 1, ioctl: 16, openat: 257 } as const;
const addAndSend = 2, addAt = 1, continueCall = 1, closeOnExec = 0o2_000_000;
const createFd = 900, destroyFd = 901;
const pathBytes = 4096;

interface Notice {
  readonly id: bigint;
  readonly pid: number;
  readonly call: number;
  readonly args: readonly bigint[];
}

/** A call that has no answer yet: VM_RUN. */
interface Waiting {
  readonly notice: Notice;
  readonly vm: FakeVm;
  finish(): void;
}

class Supervisor {
  readonly #addon: NativeAddon;
  readonly #facts: Facts;
  readonly #hasControl: boolean;
  readonly #listener: number;
  readonly #vms = new Map<string, FakeVm>();
  /** Descriptors of the client: the control device, or a VM. */
  readonly #open = new Map<number, FakeVm | "control">();
  readonly #memory = new Map<number, number>();
  #waiting: Waiting[] = [];

  constructor(addon: NativeAddon, version: string, listener: number) {
    this.#addon = addon;
    this.#facts = new Facts(version);
    this.#hasControl = version === "freebsd15";
    this.#listener = listener;
  }

  /** Serves what calls there are, and runs vCPUs a slice. It spins while there is a VM: some
   * kernels do not end a poll of the listener for a new call. */
  turn(): void {
    const rows = Int32Array.of(this.#listener, 1, 0);
    const timeoutMs = this.#vms.size > 0 ? 0 : 1;
    for (let left = 100; left > 0 && this.#addon.poll(rows, timeoutMs) > 0
      && (rows[2] ?? 0) === 1; left -= 1) {
      this.#receive();
    }
    for (const waiting of this.#waiting.slice()) {
      this.#step(waiting);
    }
  }

  #step(waiting: Waiting): void {
    const { notice, vm } = waiting;
    const drop = () => { this.#waiting = this.#waiting.filter((each) => each !== waiting); };
    if (this.#addon.ioctl(this.#listener, ioctls.isValid, BigUint64Array.of(notice.id)) < 0) {
      vm.forget(); // A signal has ended the client's call.
      drop();
      return;
    }
    const answer = vm.step();
    if (answer !== "later") {
      drop();
      waiting.finish();
      this.#reply(notice, answer);
    }
  }

  #receive(): void {
    const bytes = new Uint8Array(80);
    if (this.#addon.ioctl(this.#listener, ioctls.receive, bytes) < 0) {
      return;
    }
    const view = new DataView(bytes.buffer);
    const notice = {
      id: view.getBigUint64(0, true), pid: view.getUint32(8, true), call: view.getInt32(16, true),
      args: [0, 1, 2, 3, 4, 5].map((index) => view.getBigUint64(32 + index * 8, true)),
    };
    const answer = this.#serve(notice);
    if (answer !== "later") {
      this.#reply(notice, answer);
    }
  }

  #serve(notice: Notice): Answer | "continue" {
    switch (notice.call) {
      case calls.openat: return this.#openPath(notice);
      case calls.write: return this.#writeVariable(notice);
      case calls.ioctl: return this.#ioctl(notice);
      default: return "continue";
    }
  }

  #openPath(notice: Notice): Answer | "continue" {
    const path = this.#text(notice, notice.args[1] ?? 0n);
    const vm = this.#vms.get(/^\/dev\/vmm\/(.+)$/.exec(path)?.[1] ?? "");
    const [, vmName = "", segmentName = ""] = /^\/dev\/vmm\.io\/(.+)\.(\w+)$/.exec(path) ?? [];
    if (path === "/dev/vmmctl") {
      return this.#hasControl ? this.#give(notice, this.#addon.eventfd(0, false), "control")
        : -ENOENT;
    }
    if (!this.#hasControl && path === "/proc/sys/hw/vmm/create") {
      return this.#giveAt(notice, createFd);
    }
    if (!this.#hasControl && path === "/proc/sys/hw/vmm/destroy") {
      return this.#giveAt(notice, destroyFd);
    }
    if (vm !== undefined) {
      return this.#give(notice, vm.fd, vm);
    }
    const segment = [...this.#vms.get(vmName)?.segments.values() ?? []]
      .find(({ name }) => name === segmentName && name !== "");
    return segment !== undefined ? this.#give(notice, segment.fd, undefined)
      : path.startsWith("/dev/vmm") ? -ENOENT : "continue";
  }

  /** Puts a descriptor of ours into the client and answers its call with the number. */
  #give(notice: Notice, fd: number, what: FakeVm | "control" | undefined): Answer {
    const number = this.#addDescriptor(notice, fd, addAndSend, 0);
    if (what !== undefined) {
      this.#open.set(number, what);
    }
    return "later"; // It is answered.
  }

  #giveAt(notice: Notice, number: number): Answer {
    const fd = this.#addon.eventfd(0, false);
    this.#addDescriptor(notice, fd, addAt, number);
    this.#addon.close(fd);
    return number;
  }

  #addDescriptor(notice: Notice, fd: number, flags: number, number: number): number {
    const bytes = new Uint8Array(24);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, notice.id, true);
    view.setUint32(8, flags, true);
    view.setInt32(12, fd, true);
    view.setInt32(16, number, true);
    view.setInt32(20, closeOnExec, true);
    return checked("SECCOMP_IOCTL_NOTIF_ADDFD",
      this.#addon.ioctl(this.#listener, ioctls.add, bytes));
  }

  #writeVariable(notice: Notice): Answer {
    const length = Number(notice.args[2]);
    const name = Buffer.from(this.#client(notice).read(Number(notice.args[1]), length)).toString();
    const result = Number(notice.args[0]) === createFd ? this.#create(name) : this.#destroy(name);
    return result < 0 ? result : length;
  }

  #create(name: string): number {
    if (this.#vms.has(name)) {
      return -EEXIST;
    }
    this.#vms.set(name, new FakeVm(this.#facts, this.#addon, name));
    return 0;
  }

  #destroy(name: string): number {
    const vm = this.#vms.get(name);
    vm?.destroy();
    this.#vms.delete(name);
    return vm === undefined ? -EINVAL : 0;
  }

  #ioctl(notice: Notice): Answer | "continue" {
    const target = this.#open.get(Number(notice.args[0]));
    if (target === undefined) {
      return "continue";
    }
    const ioctl = this.#facts.ioctl(Number(notice.args[1] ?? 0n));
    if (ioctl === undefined) {
      return -ENOTTY;
    }
    const client = this.#client(notice);
    const at = Number(notice.args[2]);
    const bytes = client.read(at, ioctl.size);
    if (target === "control") {
      const name = new Fact(this.#facts, "vmmctl_vm_create", bytes).text("name");
      return ioctl.name === "VMMCTL_VM_CREATE" ? this.#create(name)
        : ioctl.name === "VMMCTL_VM_DESTROY" ? this.#destroy(name) : -ENOTTY;
    }
    const answer = target.ioctl(ioctl, bytes, client);
    const finish = () => {
      if (ioctl.writesBack) {
        client.write(at, bytes);
      }
    };
    if (answer === "later" && target.isRunning) {
      this.#waiting.push({ notice, vm: target, finish });
    } else if (answer !== "later") {
      finish();
    }
    return answer;
  }

  #reply(notice: Notice, answer: number | "continue"): void {
    const bytes = new Uint8Array(24);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, notice.id, true);
    if (answer === "continue") {
      view.setUint32(20, continueCall, true);
    } else if (answer < 0) {
      view.setInt32(16, answer, true);
    } else {
      view.setBigInt64(8, BigInt(answer), true);
    }
    this.#addon.ioctl(this.#listener, ioctls.send, bytes); // The client may be gone.
  }

  #client({ pid }: Notice): ClientMemory {
    const fd = this.#memory.get(pid) ?? openSync(`/proc/${pid}/mem`, "r+");
    this.#memory.set(pid, fd);
    return {
      read: (address, length) => {
        const bytes = new Uint8Array(length);
        if (length > 0) {
          readSync(fd, bytes, 0, length, address);
        }
        return bytes;
      },
      write: (address, bytes) => { writeSync(fd, bytes, 0, bytes.length, address); },
    };
  }

  #text(notice: Notice, address: bigint): string {
    const at = Number(address);
    // A string may end just before a page that cannot be read.
    const toPageEnd = pathBytes - at % pathBytes;
    const client = this.#client(notice);
    const first = Buffer.from(client.read(at, toPageEnd));
    const end = first.indexOf(0);
    return end >= 0 ? first.toString("utf8", 0, end)
      : Buffer.concat([first, client.read(at + toPageEnd, pathBytes)]).toString()
        .replace(/\0.*$/s, "");
  }
}

async function main(): Promise<number> {
  const [, , version = "", launcher = "", ...program] = process.argv;
  const addon = requireNative("the fake /dev/vmm");
  const folder = mkdtempSync(join(tmpdir(), "tsbhyve-fake-vmm-"));
  const path = join(folder, "socket");
  const listening = checked("listen", addon.unixListen(path, 1));
  const child = spawn(launcher, [path, ...program], {
    stdio: "inherit", env: { ...process.env, FAKE_VERSION: version },
  });
  let status: number | undefined;
  child.on("exit", (code, signal) => {
    status = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
  const rows = Int32Array.of(listening, 1, 0);
  while (status === undefined && addon.poll(rows, 0) === 0) {
    await new Promise((resolve) => { setTimeout(resolve, 1); });
  }
  if (status === undefined) {
    const connection = checked("accept", addon.accept(listening));
    const fds = new Int32Array(1);
    checked("receive", addon.receive(connection, new Uint8Array(1), fds));
    const supervisor = new Supervisor(addon, version, fds[0] ?? -1);
    while (status === undefined) {
      supervisor.turn();
      await new Promise((resolve) => { setImmediate(resolve); });
    }
  }
  rmSync(folder, { recursive: true, force: true });
  return status;
}

process.exitCode = await main();
