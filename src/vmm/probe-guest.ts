/**
 * The guest that a back end must run before it is believed: 64-bit code that counts, writes to a
 * port and halts. A device node says little: KVM on a host that is itself a guest may exist and
 * emulate every instruction, far slower than the software vCPU.
 */
import { createLog } from "../base/log.ts";
import { gpa, KiB, millisecondNs } from "../base/units.ts";
import { ManualClock } from "../fabric/clock.ts";
import type { Probe, Vcpu, VcpuBus, Vm, VmOptions } from "./hypervisor.ts";

const port = 0xf4;
const answer = 0x5a;
const loops = 0x4000;
const codeAddress = 0x1000, tablesAddress = 0x2000, tableBytes = 0x1000;
const present = 3, largePage = 0x80; // Writable, too.

/** MOV ECX, 16384; DEC ECX; JNZ back; MOV AL, 0x5A; OUT 0xF4, AL; HLT. */
const code = [0xb9, 0, 0x40, 0, 0, 0xff, 0xc9, 0x75, 0xfc, 0xb0, answer, 0xe6, port, 0xf4];
const limitNs = 500 * millisecondNs;
/** Over 5 million instructions a second: any processor does, and the emulation of one, too. */
const slowMs = 6;

function enterLongMode(vm: Vm, vcpu: Vcpu): void {
  const [directory, pointers, pages] = [0, 1, 2].map((n) => tablesAddress + n * tableBytes);
  vm.memory.setU64(gpa(directory ?? 0), (pointers ?? 0) | present);
  vm.memory.setU64(gpa(pointers ?? 0), (pages ?? 0) | present);
  vm.memory.setU64(gpa(pages ?? 0), present | largePage);
  vm.memory.write(gpa(codeAddress), Uint8Array.from(code));
  vcpu.setRegister("efer", 0x500n);
  vcpu.setRegister("cr4", 0x20n);
  vcpu.setRegister("cr3", BigInt(tablesAddress));
  vcpu.setRegister("cr0", 0x8000_0011n);
  vcpu.setRegister("rflags", 2n);
  vcpu.setRegister("rip", BigInt(codeAddress));
  const flat = { base: 0n, limit: 0xffff_ffff };
  vcpu.setSegment("cs", { ...flat, selector: 8, attributes: 0xa09b });
  for (const name of ["ss", "ds", "es"] as const) {
    vcpu.setSegment(name, { ...flat, selector: 16, attributes: 0xc093 });
  }
}

/** Runs it. Throws what `createVm` throws. */
export function runProbeGuest(createVm: (options: VmOptions) => Vm): Probe {
  let seen = -1;
  const bus: VcpuBus = {
    portRead: () => 0, mmioRead: () => 0, mmioWrite: () => {},
    portWrite: (at, _size, value) => {
      seen = at === port ? value : seen;
      vcpu?.kick();
    },
  };
  const vm = createVm({
    memoryBytes: 64 * KiB, cpus: 1, bus, clock: new ManualClock(), log: createLog(() => {}),
    wake: () => {},
  });
  const [vcpu] = vm.vcpus;
  try {
    if (vcpu === undefined) {
      return { usable: false, reason: "it made no vCPU" };
    }
    enterLongMode(vm, vcpu);
    const start = performance.now();
    const result = vcpu.run(4 * loops, limitNs);
    const tookMs = performance.now() - start;
    if (seen !== answer) {
      const reason = result.reason === "failed" ? result.report
        : "a few instructions did not run to their end";
      return { usable: false, reason };
    }
    return tookMs < slowMs ? { usable: true } : {
      usable: true, slow: `${loops} turns of a loop took ${Math.round(tookMs)} ms: it emulates`,
    };
  } finally {
    vm.destroy();
  }
}
