/**
 * PS/2 controller with a keyboard and a mouse (Intel 8042 as in the IBM PS/2 hardware reference,
 * "keyboard and auxiliary device controller").
 */
import { bits } from "../base/bits.ts";
import { ClaimList, type Board, type BoardDevice } from "../fabric/board.ts";
import type { IrqLine } from "../fabric/interrupt.ts";
import type { MachineControl } from "../fabric/machine-control.ts";
import { registerMap } from "../fabric/register-map.ts";
import { assignState } from "../fabric/state.ts";
import { Keyboard, newKeyboard } from "./i8042/keyboard.ts";
import { Mouse, newMouse } from "./i8042/mouse.ts";

const statusBits = bits({ outputFull: 0, system: 2, command: 3, unlocked: 4, mouseOutput: 5 });
const configBits = bits({
  keyboardIrq: 0, mouseIrq: 1, system: 2, keyboardOff: 4, mouseOff: 5, translate: 6,
});
const outputPort = bits({ notReset: 0, a20: 1 });

/** Who put the byte into the output buffer; `none` when it is empty. */
const source = { none: 0, keyboard: 1, mouse: 2 } as const;

const command = {
  readConfig: 0x20, writeConfig: 0x60, mouseDisable: 0xa7, mouseEnable: 0xa8, mouseTest: 0xa9,
  selfTest: 0xaa, keyboardTest: 0xab, keyboardDisable: 0xad, keyboardEnable: 0xae,
  readInputPort: 0xc0, readOutputPort: 0xd0, writeOutputPort: 0xd1, fakeKeyboard: 0xd2,
  fakeMouse: 0xd3, writeMouse: 0xd4, a20Off: 0xdd, a20On: 0xdf, pulse: 0xf0,
} as const;

export interface I8042Env {
  readonly keyboardIrq: IrqLine;
  readonly mouseIrq: IrqLine;
  readonly machine: Pick<MachineControl, "reset">;
}

function newController() {
  return {
    config: configBits.keyboardIrq | configBits.mouseIrq | configBits.system
      | configBits.translate,
    /** Address line 20 is always on; the bit only remembers what was written. */
    outputPort: outputPort.notReset | outputPort.a20,
    /** Output buffer and who filled it. */
    output: 0, source: 0,
    /** The command whose data byte comes next, or -1. */
    expects: -1,
    lastWasCommand: false,
  };
}

export class I8042 implements BoardDevice {
  readonly #env: I8042Env;
  readonly #claims = new ClaimList();
  readonly keyboard = new Keyboard(newKeyboard());
  readonly mouse = new Mouse(newMouse());
  readonly state = {
    ...newController(), keyboard: this.keyboard.state, mouse: this.mouse.state,
  };

  constructor(env: I8042Env) {
    this.#env = env;
  }

  attach(board: Board): void {
    this.#claims.add(board.ports, { name: "8042 data", base: 0x60 }, dataMap, this);
    this.#claims.add(board.ports, { name: "8042 command", base: 0x64 }, commandMap, this);
  }

  moveMouse(x: number, y: number, buttons: number): void {
    this.mouse.move(x, y, buttons);
    this.#refill();
  }

  readStatus(): number {
    const s = this.state;
    return statusBits.unlocked
      | (s.source === source.none ? 0 : statusBits.outputFull)
      | (s.source === source.mouse ? statusBits.mouseOutput : 0)
      | ((s.config & configBits.system) !== 0 ? statusBits.system : 0)
      | (s.lastWasCommand ? statusBits.command : 0);
  }

  readData(): number {
    const byte = this.state.output;
    this.state.source = source.none;
    this.sync(); // The lines fall between two bytes: they are edges to the 8259.
    this.#refill();
    return byte;
  }

  writeData(value: number): void {
    const s = this.state;
    const pending = s.expects;
    s.expects = -1;
    s.lastWasCommand = false;
    const handler = dataCommands.get(pending);
    if (handler !== undefined) {
      handler(this, value);
    } else {
      s.config &= ~configBits.keyboardOff; // Talking to the keyboard switches it on.
      this.keyboard.command(value);
    }
    this.#refill();
  }

  writeCommand(value: number): void {
    const s = this.state;
    s.lastWasCommand = true;
    s.expects = dataCommands.has(value) ? value : -1;
    if (value >= command.pulse && (value & 1) === 0) {
      this.#env.machine.reset(); // Bit 0 low pulses the reset line; 0xFE is what guests send.
    }
    commands.get(value)?.(this);
    this.#refill();
  }

  /** Puts a byte into the output buffer, over one that was not read. */
  answer(byte: number, from: 1 | 2 = source.keyboard): void {
    this.state.output = byte;
    this.state.source = from;
    this.sync();
  }

  changeConfig(set: number, clear: number): void {
    this.state.config = (this.state.config | set) & ~clear;
    this.sync();
  }

  writeOutputPort(value: number): void {
    this.state.outputPort = value | outputPort.notReset;
    if ((value & outputPort.notReset) === 0) {
      this.#env.machine.reset();
    }
  }

  reset(): void {
    assignState(this.state, {
      ...newController(), keyboard: newKeyboard(), mouse: newMouse(),
    });
    this.sync();
  }

  sync(): void {
    const { source: from, config } = this.state;
    const on = (who: number, enable: number) => from === who && (config & enable) !== 0;
    this.#env.keyboardIrq.set(on(source.keyboard, configBits.keyboardIrq));
    this.#env.mouseIrq.set(on(source.mouse, configBits.mouseIrq));
  }

  detach(): void {
    this.#claims.release();
    this.#env.keyboardIrq.set(false);
    this.#env.mouseIrq.set(false);
  }

  /** Moves the next byte of a device into the empty output buffer. */
  #refill(): void {
    const s = this.state;
    if (s.source !== source.none) {
      return;
    }
    const typed = (s.config & configBits.keyboardOff) === 0 ? this.keyboard.take() : -1;
    if (typed >= 0) {
      this.answer(this.#translated(typed));
      return;
    }
    const moved = (s.config & configBits.mouseOff) === 0 ? this.mouse.take() : -1;
    if (moved >= 0) {
      this.answer(moved, source.mouse);
    }
  }

  /** Of a keyboard's replies the second identification byte is the only one that the controller's
   * translation to scan code set 1 changes. */
  #translated(byte: number): number {
    return (this.state.config & configBits.translate) !== 0 && byte === 0x83 ? 0x41 : byte;
  }
}

const commands = new Map<number, (controller: I8042) => void>([
  [command.readConfig, (controller) => controller.answer(controller.state.config)],
  [command.mouseDisable, (controller) => controller.changeConfig(configBits.mouseOff, 0)],
  [command.mouseEnable, (controller) => controller.changeConfig(0, configBits.mouseOff)],
  [command.mouseTest, (controller) => controller.answer(0)],
  [command.selfTest, (controller) => {
    controller.changeConfig(configBits.system, 0);
    controller.answer(0x55);
  }],
  [command.keyboardTest, (controller) => controller.answer(0)],
  [command.keyboardDisable, (controller) => controller.changeConfig(configBits.keyboardOff, 0)],
  [command.keyboardEnable, (controller) => controller.changeConfig(0, configBits.keyboardOff)],
  [command.readInputPort, (controller) => controller.answer(0x80)], // Keyboard not locked.
  [command.readOutputPort, (controller) => controller.answer(controller.state.outputPort)],
  [command.a20Off, (controller) => { controller.state.outputPort &= ~outputPort.a20; }],
  [command.a20On, (controller) => { controller.state.outputPort |= outputPort.a20; }],
]);

/** Commands whose data byte follows at port 0x60. */
const dataCommands = new Map<number, (controller: I8042, value: number) => void>([
  [command.writeConfig, (controller, value) => controller.changeConfig(value, ~value & 0xff)],
  [command.writeOutputPort, (controller, value) => controller.writeOutputPort(value)],
  [command.fakeKeyboard, (controller, value) => controller.answer(value)],
  [command.fakeMouse, (controller, value) => controller.answer(value, source.mouse)],
  [command.writeMouse, (controller, value) => {
    controller.changeConfig(0, configBits.mouseOff);
    controller.mouse.command(value);
  }],
]);

const dataMap = registerMap<I8042>({
  size: 1,
  rows: [[0, "DATA", "rw", {
    read: (controller) => controller.readData(),
    write: (controller, value) => controller.writeData(value),
  }]],
});

const commandMap = registerMap<I8042>({
  size: 1,
  rows: [[0, "STATUS/COMMAND", "rw", {
    read: (controller) => controller.readStatus(),
    write: (controller, value) => controller.writeCommand(value),
  }]],
});
