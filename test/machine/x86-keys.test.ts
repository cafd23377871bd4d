/** Keys of processor and board that only a guest can see. */
import { softHypervisor } from "../../src/vmm/software/hypervisor.ts";
import { buildMachine, romOf, scriptedHypervisor, slice, smallPc, type Keys,
} from "../support/boot.ts";
import { testFolder } from "../support/folder.ts";
import { assert, test } from "../support/harness.ts";
import { assemble, assemblyTest } from "../support/nasm.ts";

const folder = testFolder();
let number = 0;

/** Runs real-mode code that has `say` (AL to COM1) and `#GP` printing a G; what it printed. */
function run(text: string, keys: Keys): { output: string; messages: readonly string[] } {
  const code = assemble(`
    xor ax, ax
    mov ss, ax
    mov ds, ax
    mov sp, 0x7000
    mov word [13 * 4], fault
    mov word [13 * 4 + 2], 0xf000
    ${text}
    jmp over
  fault:
    mov al, 'G'
    call say
  over:
    mov dx, 0x404
    mov ax, 0x3400
    out dx, ax
    hlt
  say:
    mov dx, 0x3f8
    out dx, al
    ret
  `, { bits: 16, origin: 0 });
  number += 1;
  const { line, messages, run: start } = buildMachine({
    "memory.size": "16M", "bootrom": folder.put(`${number}.rom`, romOf([...code])),
    "pci.0.0.0.device": "hostbridge", "pci.0.31.0.device": "lpc", ...keys,
  }, softHypervisor);
  assert.deepEqual(start(), { status: 1 }, line.output);
  return { output: line.output, messages };
}

const unknown = `
    mov ecx, 0xc0010015
    mov eax, 0x12345678
    mov edx, eax
    wrmsr
    mov al, 'w'
    call say
    mov ecx, 0xc0010015
    rdmsr
    or eax, edx
    setz al
    add al, '0'
    call say
`;

assemblyTest("an unknown MSR is #GP, or with x86.strictmsr=false nothing", () => {
  assert.equal(run(unknown, {}).output, "G");
  assert.equal(run(unknown, { "x86.strictmsr": "false" }).output, "w1");
});

assemblyTest("x86.verbosemsr tells of unknown MSRs, and floods nobody", () => {
  const { messages } = run(unknown, { "x86.strictmsr": "false", "x86.verbosemsr": "true" });
  assert.deepEqual(messages.filter((message) => message.includes("msr")), [
    "info: wrmsr of 0x1234567812345678 to unknown register 0xc0010015",
    "info: rdmsr of unknown register 0xc0010015",
  ]);
  const flood = run(`
      mov bp, 1000
    .again:
      mov ecx, 0xc0010015
      rdmsr
      dec bp
      jnz .again
  `, { "x86.strictmsr": "false", "x86.verbosemsr": "true" });
  assert.ok(flood.messages.length < 30);
  assert.deepEqual(run(unknown, {}).messages.filter((message) => message.includes("msr")), []);
});

assemblyTest("read-only MSRs are #GP for writes all the same", () => {
  const write = "mov ecx, 0xfe\nxor eax, eax\nxor edx, edx\nwrmsr";
  assert.equal(run(write, { "x86.strictmsr": "false" }).output, "G");
});

assemblyTest("x86.x2apic starts local APICs in x2APIC mode", () => {
  const look = `
    mov ecx, 0x1b
    rdmsr
    bt eax, 10
    setc al
    add al, '0'
    call say
    mov ecx, 0x803              ; the version register
    rdmsr
    mov al, 'v'
    call say
  `;
  assert.equal(run(look, {}).output, "0G");
  assert.equal(run(look, { "x86.x2apic": "true" }).output, "1v");
});

test("lpc.pc-testdev answers at its ports, and PCI functions move out of its way", () => {
  const look = (keys: Keys) => {
    let seen = { echo: 0, bar: 0 };
    buildMachine({ ...smallPc, "pci.0.4.0.device": "virtio-rnd", ...keys },
      scriptedHypervisor(function* probe(guest) {
        guest.portWrite(0xe0, 4, 0x1234_5678);
        guest.portWrite(0xcf8, 4, 0x8000_2010);
        seen = { echo: guest.portRead(0xe0, 4), bar: guest.portRead(0xcfc, 4) & ~3 };
        guest.portWrite(0xcf9, 1, 6);
        yield slice;
      })).run();
    return seen;
  };
  assert.deepEqual(look({}), { echo: 0xffff_ffff, bar: 0x2000 });
  assert.deepEqual(look({ "lpc.pc-testdev": "true" }), { echo: 0x1234_5678, bar: 0x2020 });
});
