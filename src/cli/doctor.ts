/**
 * `tsbhyve doctor [--json]`: what this host offers. Each finding says what was looked at and what
 * follows from it; exit status 0 if a guest can run here, 4 if not.
 */
import { accessSync, constants } from "node:fs";
import { freemem, totalmem } from "node:os";
import { delimiter, join } from "node:path";
import { exitStatus } from "../base/errors.ts";
import { MiB } from "../base/units.ts";
import { nativeState } from "../host/native.ts";
import { chooseHypervisor, hypervisors } from "../vmm/backends.ts";
import type { Console } from "./main.ts";

type State = "ok" | "missing";

interface Finding {
  readonly name: string;
  readonly state: State;
  /** Without it no guest runs. */
  readonly needed: boolean;
  readonly detail: string;
}

export function doctor(words: readonly string[], console: Console): number {
  const json = words.length === 1 && words[0] === "--json";
  if (words.length > 0 && !json) {
    console.error("usage: tsbhyve doctor [--json]\n");
    return exitStatus.powerOff;
  }
  const findings = [
    nodeVersion(), ...wasmFeatures(), memory(), addon(), ...backends(),
    terminal(), ...tools(),
  ];
  const healthy = findings.every(({ state, needed }) => state === "ok" || !needed);
  console.out(json ? `${JSON.stringify({ healthy, findings }, undefined, 2)}\n`
    : text(findings, healthy));
  return healthy ? 0 : exitStatus.error;
}

function text(findings: readonly Finding[], healthy: boolean): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.map(({ name, state, detail }) =>
    `${state.padEnd(8)} ${name.padEnd(width)}  ${detail}`);
  lines.push(healthy ? "Guests can run here." : "Guests cannot run here.");
  return `${lines.join("\n")}\n`;
}

const nodeMinimum = [20, 19] as const;

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const [wantedMajor, wantedMinor] = nodeMinimum;
  const enough = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return {
    name: "node", state: enough ? "ok" : "missing", needed: true,
    detail: `${process.version}, V8 ${process.versions.v8}; ${nodeMinimum.join(".")} or later is `
      + "needed",
  };
}

const magic = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** Modules of one function `() -> ()`: type section, function section, then what is asked. */
const oneFunction = [1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0];
/** i32.const 0, i8x16.splat, drop, end. */
const simdCode = [10, 9, 1, 7, 0, 0x41, 0, 0xfd, 0x0f, 0x1a, 0x0b];
/** One memory of 1 page at least and 1 at most, shared. */
const sharedMemory = [5, 4, 1, 3, 1, 1];

function wasmFeatures(): Finding[] {
  const simd = WebAssembly.validate(Uint8Array.from([...magic, ...oneFunction, ...simdCode]));
  const shared = WebAssembly.validate(Uint8Array.from([...magic, ...sharedMemory]));
  return [
    { name: "wasm SIMD", state: simd ? "ok" : "missing", needed: false,
      detail: "vector instructions of WebAssembly" },
    { name: "shared memory", state: shared ? "ok" : "missing", needed: true,
      detail: "guest memory is a shared WebAssembly memory" },
  ];
}

/** A guest of bhyve's default size, and what the program itself needs. */
const memoryWanted = 512 * MiB;

function memory(): Finding {
  const inMiB = (bytes: number) => `${Math.floor(bytes / MiB)} MiB`;
  return {
    name: "memory", state: totalmem() >= memoryWanted ? "ok" : "missing", needed: false,
    detail: `${inMiB(freemem())} free of ${inMiB(totalmem())}`,
  };
}

const backendUses: Readonly<Record<string, string>> = {
  soft: "software vCPU in WebAssembly; needs nothing of the host",
  kvm: "Linux's /dev/kvm",
  vmm: "FreeBSD's /dev/vmm",
};

/** Every back end runs its probe; `auto` takes the first that does so at speed. */
function backends(): Finding[] {
  const chosen = chooseHypervisor("auto").hypervisor;
  return hypervisors.map((hypervisor) => {
    const { name } = hypervisor;
    const probe = hypervisor.probe();
    const result = !probe.usable ? `: ${probe.reason}`
      : probe.slow === undefined ? "" : `; works, but ${probe.slow}`;
    const taken = hypervisor === chosen ? "; vmm.backend=auto takes it" : "";
    return {
      name: `vmm.backend=${name}`, state: probe.usable ? "ok" : "missing", needed: false,
      detail: `${backendUses[name] ?? name}${result}${taken}`,
    };
  });
}

function addon(): Finding {
  const found = nativeState();
  const use = "io_uring, taps and the kernel's hypervisors need it, nothing else does";
  return {
    name: "native addon", state: found.addon === undefined ? "missing" : "ok", needed: false,
    detail: `${found.addon === undefined ? found.reason : found.path}; ${use}`,
  };
}

function terminal(): Finding {
  const both = process.stdin.isTTY === true && process.stdout.isTTY === true;
  return {
    name: "terminal", state: both ? "ok" : "missing", needed: false,
    detail: both ? "standard input and output are a terminal"
      : "standard input or output is no terminal; a console on stdio works without raw mode",
  };
}

/** Programs that `npm start` and `npm test` use. */
const programs = [
  { name: "npm", use: "installs the packages that npm start needs" },
  { name: "apt-get", use: "npm start fetches Debian's kernel and busybox with it" },
  { name: "iasl", use: "the tests disassemble the ACPI tables with it" },
  { name: "qemu-system-x86_64", use: "the benchmarks compare with it" },
] as const;

function tools(): Finding[] {
  return programs.map(({ name, use }) => {
    const path = findProgram(name);
    return {
      name, state: path === undefined ? "missing" : "ok", needed: false,
      detail: path === undefined ? `not found; ${use}` : `${path}; ${use}`,
    };
  });
}

function findProgram(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
