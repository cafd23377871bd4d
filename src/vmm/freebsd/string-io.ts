/**
 * INS and OUTS, which /dev/vmm leaves to us whole (usr.sbin/bhyve/amd64/inout.c): up to 16 items
 * an exit, addressed through the segment, with the checks that the guest's mode asks for.
 */
import type { RegisterName, VcpuBus } from "../hypervisor.ts";
import { reach, type GuestAccess } from "./guest-access.ts";
import type { Struct } from "./tables.ts";

const itemsMax = 16;
const directionFlag = 0x400n, alignmentFlag = 0x4_0000n, cr0AlignmentMask = 0x4_0000n;
const alignmentCheck = 17, generalProtection = 13;
const sixtyFourBit = 3;

export interface StringIoEnv {
  readonly access: GuestAccess;
  readonly bus: VcpuBus;
  setRegister(name: RegisterName, value: bigint): void;
  register(name: RegisterName): bigint;
  inject(vector: number, errorCode: number): void;
}

/** `again`: more items are left, and the instruction is to run again. */
export function serveStringIo(env: StringIoEnv, exit: Struct): "done" | "again" | "fault" {
  const get = (field: string) => exit.get(`u.inout_str.${field}`);
  const big = (field: string) => exit.big(`u.inout_str.${field}`);
  const isIn = get("inout.in") !== 0;
  const size = get("inout.bytes");
  const port = get("inout.port");
  const addressBits = BigInt(get("addrsize") * 8);
  const limit = (1n << addressBits) - 1n;
  const step = (big("rflags") & directionFlag) === 0n ? BigInt(size) : -BigInt(size);
  let index = big("index") & limit;
  let count = get("inout.rep") !== 0 ? big("count") & limit : 1n;
  let result: "done" | "fault" = "done";
  for (let left = itemsMax; left > 0 && count > 0n; left -= 1) {
    const address = locate(env, exit, index, size, isIn);
    if (address === undefined) {
      result = "fault";
      break;
    }
    if (isIn) {
      env.access.write(address, size, BigInt(env.bus.portRead(port, size)));
    } else {
      env.bus.portWrite(port, size, Number(env.access.read(address, size)));
    }
    index = (index + step) & limit;
    count -= 1n;
  }
  setCounted(env, isIn ? "rdi" : "rsi", index, addressBits);
  if (get("inout.rep") !== 0) {
    setCounted(env, "rcx", count, addressBits);
  }
  return result === "fault" ? "fault" : count > 0n ? "again" : "done";
}

function setCounted(env: StringIoEnv, name: RegisterName, value: bigint, bits: bigint): void {
  const kept = bits === 16n ? env.register(name) & ~0xffffn : 0n;
  env.setRegister(name, kept | value);
}

/** Physical address of an item; undefined when the guest got a fault for it. */
function locate(
  env: StringIoEnv, exit: Struct, index: bigint, size: number, isIn: boolean,
): number | undefined {
  const part = (field: string) => exit.big(`u.inout_str.${field}`);
  const limit = BigInt(exit.get("u.inout_str.seg_desc.limit"));
  const isLong = exit.get("u.inout_str.paging.cpu_mode") === sixtyFourBit;
  if (!isLong && index + BigInt(size) - 1n > limit) {
    env.inject(generalProtection, 0);
    return undefined;
  }
  const linear = BigInt.asUintN(64, part("seg_desc.base") + index);
  const checksAlignment = exit.get("u.inout_str.paging.cpl") === 3
    && (part("cr0") & cr0AlignmentMask) !== 0n && (part("rflags") & alignmentFlag) !== 0n;
  if (checksAlignment && linear % BigInt(size) !== 0n) {
    env.inject(alignmentCheck, 0);
    return undefined;
  }
  return env.access.translate(linear, isIn ? reach.write : reach.read, exit, "inout_str");
}
