/** The interpreter's module with what it imports: memory, devices, helpers. */
import type { CodeCache } from "./code-cache.ts";
import { regionTable } from "./enter.ts";
import type { GeneratedInterpreter } from "./generate.ts";

export interface InterpreterImports {
  readonly memory: WebAssembly.Memory;
  /** Functions of compiled regions. */
  readonly regions: WebAssembly.Table;
  readonly bus: {
    mmioRead(address: number, size: number): number;
    mmioWrite(address: number, size: number, value: number): void;
  };
  readonly code: CodeCache;
  /** (micro-op) → status. */
  readonly helper: (upc: number) => number;
  /** 1 when an access to this address must leave the vCPU, else 0. */
  readonly deviceExits: (address: number) => number;
}

const addressOf = (lo: number, hi: number) => (lo >>> 0) + hi * 2 ** 32;

export function instantiate(
  { bytes }: GeneratedInterpreter,
  { memory, regions, bus, code, helper, deviceExits }: InterpreterImports,
): WebAssembly.Instance {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: {
    memory, [regionTable]: regions, helper,
    // A size of 0 asks whether the access would leave.
    deviceRead: (lo: number, hi: number, size: number) => size === 0
      ? deviceExits(addressOf(lo, hi)) : bus.mmioRead(addressOf(lo, hi), size),
    deviceWrite: (lo: number, hi: number, size: number, value: number) =>
      bus.mmioWrite(addressOf(lo, hi), size,
        size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff)),
    codeWritten: (host: number, length: number) => code.invalidate(host, length),
  } });
}
