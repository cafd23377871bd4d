/**
 * Calls every function of the addon with garbage: `node native-noise.js SEED CALLS`. Leaves counts
 * in report.json. What waits for ever is left out: sockets are made non-blocking, polls short.
 */
import { writeFileSync } from "node:fs";
import { nativeState, type NativeAddon } from "../../src/host/native.ts";
import { randomSource } from "./random.ts";
import { sharedPages } from "./shared-pages.ts";

type Call = (...values: unknown[]) => unknown;

const [, , seedText = "1", callsText = "1000"] = process.argv;
const random = randomSource(Number(seedText));
const below = (limit: number) => random() % limit;
const pick = <T>(values: readonly T[]): T => values[below(values.length)] as T;

const memory = sharedPages(4 * 65536);
const descriptors: number[] = [];
/** What is mapped over memory: nothing whose driver may answer the touch of a page with a fault. */
const files = new Set<number>();

function wild(): unknown {
  return pick<() => unknown>([
    () => undefined, () => null, () => "text", () => Symbol("s"), () => 1n << 70n, () => ({}),
    () => [1, 2], () => NaN, () => -1, () => 2 ** 53, () => Infinity, () => 0.5, () => random(),
    () => true, () => () => 0, () => new ArrayBuffer(16), () => new DataView(new ArrayBuffer(8)),
    () => new Proxy({}, {}), () => "\0", () => new SharedArrayBuffer(4096),
  ])();
}

const integer = () => pick([0, 1, 2, 8, 64, 255, 4095, 4096, random(), -random(), below(1000)]);
const path = () => pick(["/dev/null", "/dev/zero", "/dev/kvm", "/nonexistent/x", ".", "s", ""]);
const fd = () => below(8) === 0 ? integer() : pick(descriptors);
const mappable = () => pick(descriptors.filter((each) => files.has(each)));
const bytes = () => pick([
  () => new Uint8Array(below(256)), () => new Int32Array(below(64)), () => new Float64Array(8),
  () => memory.subarray(below(4096), 4096 + below(65536)), () => new Uint8Array(120),
])();
const pages = () => {
  const start = below(8) * 4096;
  return memory.subarray(start + (below(8) === 0 ? 1 : 0), start + 4096 * (1 + below(4)));
};
const cells = () => {
  const table = new Int32Array(below(12));
  return table.map(() => below(4) === 0 ? random() : pick(descriptors));
};
const table = () => new Float64Array(below(64)).map(() => pick([0, 1, 2, 3, 4, 64, below(9000),
  -1, 0.5, NaN, 2 ** 53, Infinity]));
/** Every size, but no direction of a kernel that would sleep in it. */
const request = () => pick([random(), 0x5401, 0x541b, 0xae00 + below(256), 0x4020ae46, 0x8090ae81]);

const generators: Readonly<Record<keyof NativeAddon, readonly (() => unknown)[]>> = {
  interfaceVersion: [],
  open: [path, integer, () => below(0o10000)], adopt: [fd], close: [fd],
  setBlocking: [fd, () => false], ioctl: [fd, request, bytes], ioctlValue: [fd, request, integer],
  transfer: [fd, bytes, table, () => below(20), table], addressOf: [bytes], pageBytes: [],
  mapOver: [pages, mappable, () => below(4) * 4096], mapZeroes: [pages],
  memfd: [() => pick(["m", "", "x".repeat(300)]), () => below(3) * 4096],
  eventfd: [integer, () => false], poll: [cells, () => pick([0, 1])],
  kickCell: [() => memory.subarray(below(99), 100)], kickAfter: [() => below(3) * 1000],
  kickSlot: [], kick: [() => 500 + below(2000)],
  socketPair: [() => new Int32Array(below(4))], unixConnect: [path], unixListen: [path, integer],
  accept: [fd], send: [fd, bytes, cells], receive: [fd, bytes, cells],
  ringSetup: [() => below(70), bytes], ringEnter: [fd, integer, () => 0, () => below(9)],
  ringRegister: [fd, () => below(40), bytes, () => below(8)],
  sysctl: [path, bytes, bytes], kqueue: [], kevent: [fd, bytes, bytes, () => 0], capEnter: [],
};

const counts = { calls: 0, refused: 0, failed: 0, worked: 0 };

function keep(addon: NativeAddon, name: string, fds: readonly number[]): void {
  for (const each of fds) {
    addon.setBlocking(each, false);
    descriptors.push(each);
    if (name === "memfd") {
      files.add(each);
    }
  }
  while (descriptors.length > 100) {
    const [old = -1] = descriptors.splice(below(descriptors.length - 3) + 3, 1);
    files.delete(old);
    try {
      addon.close(old);
    } catch {
      // A call of the test has closed it.
    }
  }
}

const makers = new Set(["open", "adopt", "memfd", "eventfd", "accept", "ringSetup", "unixConnect",
  "unixListen"]);

function once(addon: NativeAddon, names: readonly (keyof NativeAddon)[]): void {
  const name = pick(names);
  const values = generators[name].map((make) => below(12) === 0 ? wild() : make());
  const call = addon[name] as unknown as Call;
  counts.calls += 1;
  // Kicks go to slots nobody has; blocking descriptors are never made.
  const risky = (name === "setBlocking" || name === "eventfd") && values[1] === true
    || name === "poll" && values[1] !== 0 && values[1] !== 1
    || name === "ringEnter" && values[2] !== 0
    || name === "kevent" && values[3] !== 0
    || name === "mapOver" && typeof values[1] === "number" && !files.has(values[1]);
  if (risky) {
    counts.refused += 1;
    return;
  }
  try {
    const result = call(...values);
    const number = typeof result === "number" ? result : 0;
    counts[number < 0 ? "failed" : "worked"] += 1;
    if (name === "close" && typeof values[0] === "number") {
      files.delete(values[0]); // The number may come back as something else.
    } else if (number > 0 && makers.has(name)) {
      keep(addon, name, [number]);
    } else if (number === 0 && name === "socketPair" && values[0] instanceof Int32Array) {
      keep(addon, name, [...values[0].subarray(0, 2)]);
    } else if (number > 0 && name === "receive" && values[2] instanceof Int32Array) {
      keep(addon, name, [...values[2]].filter((each) => each > 0));
    }
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) {
      throw error;
    }
    counts.refused += 1;
  }
}

const { addon } = nativeState();
if (addon === undefined) {
  throw new Error("the addon is not built");
}
for (const size of [0, 16384, 65536]) {
  keep(addon, "memfd", [addon.memfd("m", size)]);
}
const names = Object.keys(generators).filter((name) => name !== "interfaceVersion");
for (let left = Number(callsText); left > 0; left -= 1) {
  once(addon, names as (keyof NativeAddon)[]);
}
memory.fill(0);
// Standard output may have got garbage by way of a duplicate.
writeFileSync("report.json", JSON.stringify(counts));
