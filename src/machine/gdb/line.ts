/** The stub's line among the byte channels of a machine: the key by which both threads know it. */
import { ConfigError } from "../../base/errors.ts";
import type { CharBackend } from "../../fabric/device.ts";
import type { Machine } from "../machine.ts";
import { GdbStub } from "./stub.ts";

export const gdbKey = "gdb.port";

/** The line as a serial port's would be written. */
export function gdbTarget(address: string, port: number): string {
  const host = address === "localhost" || address === "" ? "127.0.0.1" : address;
  return `tcp=${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The stub over its line, if `gdb.port` asks for one. Throws ConfigError where the back end lets
 * nobody look into its virtual CPU. */
export function openStub(
  machine: Machine, backend: CharBackend | undefined, wait: boolean,
): GdbStub | undefined {
  if (backend === undefined) {
    return undefined;
  }
  const vcpu = machine.bootVcpu;
  if (vcpu.debug === undefined) {
    throw new ConfigError({
      key: gdbKey, message: "is not available with this back end; allowed: with vmm.backend=soft",
    });
  }
  return new GdbStub({ backend, vcpu, debug: vcpu.debug, wait });
}
