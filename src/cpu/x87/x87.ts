/**
 * The x87 unit: Intel SDM vol. 1 chapter 8. It knows no guest memory: the CPU fetches operands
 * before, and stores results after.
 *
 * For one instruction with opcode D8–DF the CPU does, in this order:
 *
 *  1. `form(opcode, modrm)`: undefined means #UD.
 *  2. CR0.EM and TS (#NM); if `form.waits` and `hasPendingException()`: #MF (or the PIC's IRQ 13).
 *  3. Reads `form.bytes` of memory, or probes them for writing; here the faults happen, and no
 *     state has changed yet.
 *  4. `setOrigin` unless `form.control`, `setMode` for the environment formats, `eflags` for
 *     FCMOVcc; then `execute(opcode, modrm, memory)`.
 *  5. If `stored`: writes the operand back (an unmasked exception keeps memory as it was).
 *     Takes `eflags` after FCOMI, and `ax` after FNSTSW AX.
 *
 * An unmasked exception found by `execute` is only noted; the next waiting instruction reports it.
 */
import { formOf, type Form } from "./forms.ts";
import { readFxsave, writeFxsave } from "./images.ts";
import { status, X87State } from "./state.ts";
import { Unit } from "./unit.ts";

export class X87 {
  readonly #unit: Unit;
  readonly #state: X87State;
  #instructionPointer = 0n;
  #codeSelector = 0;
  #dataPointer = 0n;
  #dataSelector = 0;

  /** The record of `x87StateBytes` bytes lives in `view` at `base`; see state.ts. */
  constructor(view: DataView, base: number) {
    this.#state = new X87State(view, base);
    this.#unit = new Unit(this.#state);
  }

  /** What the instruction needs of the CPU; undefined: no such instruction. */
  form(opcode: number, modrm: number): Form | undefined {
    return formOf(opcode, modrm);
  }

  hasPendingException(): boolean {
    return (this.#state.status & status.summary) !== 0;
  }

  /** Where the next instruction and its memory operand are; the data part only if it has one. */
  setOrigin(instruction: bigint, codeSelector: number, data: bigint, dataSelector: number): void {
    this.#instructionPointer = instruction;
    this.#codeSelector = codeSelector;
    this.#dataPointer = data;
    this.#dataSelector = dataSelector;
  }

  /** `wide`: 32- or 64-bit operand size; `protectedMode`: neither real nor virtual-8086 mode. */
  setMode(wide: boolean, protectedMode: boolean): void {
    this.#unit.wide = wide;
    this.#unit.protectedMode = protectedMode;
  }

  get eflags(): number {
    return this.#unit.eflags;
  }

  set eflags(value: number) {
    this.#unit.eflags = value;
  }

  /** The status word that FNSTSW AX has read. */
  get ax(): number {
    return this.#unit.ax;
  }

  /** The last instruction has written its memory operand. */
  get stored(): boolean {
    return this.#unit.stored;
  }

  /** Executes one instruction; false if there is no such instruction. */
  execute(opcode: number, modrm: number, memory: DataView): boolean {
    const form = formOf(opcode, modrm);
    if (form === undefined) {
      return false;
    }
    this.#unit.stored = false;
    if (!form.control) {
      const state = this.#state;
      state.instructionPointer = this.#instructionPointer;
      state.codeSelector = this.#codeSelector;
      state.opcode = (opcode & 7) << 8 | modrm;
      if (form.access !== "none") {
        state.dataPointer = this.#dataPointer;
        state.dataSelector = this.#dataSelector;
      }
    }
    form.run(this.#unit, modrm & 7, memory);
    return true;
  }

  /** The state after FNINIT. */
  initialise(): void {
    this.#state.initialise();
  }

  /** The state after power-up or RESET (INIT leaves the x87 alone), Intel SDM vol. 3 §10.1.1. */
  reset(): void {
    this.#state.initialise();
    this.#state.control = 0x40;
    this.#state.used = 0xff;
    for (let register = 0; register < 8; register++) {
      this.#state.setRegister(register, 0, 0n);
    }
  }

  /** FXSAVE and XSAVE: bytes 0–159 of the image but for MXCSR; `long` is REX.W. */
  saveTo(image: DataView, long: boolean): void {
    writeFxsave(this.#state, image, long);
  }

  restoreFrom(image: DataView, long: boolean): void {
    readFxsave(this.#state, image, long);
  }

  /** Every MMX instruction but EMMS: TOP becomes 0 and all registers are in use. */
  enterMmx(): void {
    this.#state.top = 0;
    this.#state.used = 0xff;
  }

  /** Writes MMi as MMX instructions do: sign and exponent become ones. */
  writeMmx(index: number, value: bigint): void {
    this.#state.setRegister(index, 0xffff, value);
  }

  readMmx(index: number): bigint {
    return this.#state.significandOf(index);
  }

  /** EMMS: all registers empty, and TOP becomes 0 here too. */
  leaveMmx(): void {
    this.#state.top = 0;
    this.#state.used = 0;
  }
}
