/** An x87 error in real mode: interrupt 13 of the 8259 pair, as PCs without CR0.NE have it. */
import { softHypervisor } from "../../src/vmm/software/hypervisor.ts";
import { buildMachine, romOf } from "../support/boot.ts";
import { testFolder } from "../support/folder.ts";
import { assert } from "../support/harness.ts";
import { assemble, assemblyTest } from "../support/nasm.ts";

const folder = testFolder();

const handlerAndCode = `
    xor ax, ax
    mov ss, ax
    mov sp, 0x7000
    mov ds, ax
    mov word [0x75 * 4], handler
    mov word [0x75 * 4 + 2], 0xf000
    mov al, 0x11                ; the 8259 pair: vectors 08h and 70h
    out 0x20, al
    out 0xa0, al
    mov al, 8
    out 0x21, al
    mov al, 0x70
    out 0xa1, al
    mov al, 4
    out 0x21, al
    mov al, 2
    out 0xa1, al
    mov al, 1
    out 0x21, al
    out 0xa1, al
    mov al, 0xfb
    out 0x21, al
    mov al, 0xdf                ; 13 alone
    out 0xa1, al
    mov eax, cr0
    and eax, ~0x2c              ; NE, TS and EM are clear
    mov cr0, eax
    fninit
    mov word [0x500], 0x37b     ; division by zero is not masked
    fldcw [0x500]
    sti
    fld1
    fldz
    fdivp                       ; the error
    mov al, 'a'
    call say
    fld1                        ; waits, and meets it
    mov al, 'c'
    call say
    mov dx, 0x404
    mov ax, 0x3400
    out dx, ax
    hlt
  handler:
    push ax
    mov al, 0x20
    out 0xa0, al
    out 0x20, al
    out 0xf0, al
    fnstsw ax
    test al, 4
    jz .end
    fld1                        ; under IGNNE# it does not wait
    mov al, 'b'
    call say
    fnclex
  .end:
    pop ax
    iret
  say:
    push dx
    mov dx, 0x3f8
    out dx, al
    pop dx
    ret
`;

assemblyTest("without CR0.NE an x87 error is interrupt 13, and port 0xF0 lets it pass", () => {
  const code = assemble(handlerAndCode, { bits: 16, origin: 0 });
  const { line, run } = buildMachine({
    "memory.size": "16M", "bootrom": folder.put("float.rom", romOf([...code])),
    "pci.0.0.0.device": "hostbridge", "pci.0.31.0.device": "lpc",
  }, softHypervisor);
  assert.deepEqual(run(), { status: 1 }, line.output);
  assert.equal(line.output, "abc");
});
