import { I8042 } from "../../src/devices/i8042.ts";
import { fakeGuest, type FakeGuest } from "../../src/devices/testing/fake-guest.ts";
import { deviceContract } from "../support/device-contract.ts";
import { assert, test } from "../support/harness.ts";

const command = 0x64;
const data = 0x60;
const outputFull = 1;
const mouseOutput = 0x20;

function plugController(guest: FakeGuest) {
  const keyboardIrq = guest.line("irq1");
  const mouseIrq = guest.line("irq12");
  const controller = new I8042({ keyboardIrq, mouseIrq, machine: guest.machine });
  controller.attach(guest);
  const drain = () => {
    const bytes: number[] = [];
    while ((guest.inb(command) & outputFull) !== 0 && bytes.length < 100) {
      bytes.push(guest.inb(data));
    }
    return bytes;
  };
  const toKeyboard = (...bytes: number[]) => bytes.flatMap((byte) => {
    guest.outb(data, byte);
    return drain();
  });
  const toMouse = (...bytes: number[]) => bytes.flatMap((byte) => {
    guest.outb(command, 0xd4);
    guest.outb(data, byte);
    return drain();
  });
  const ask = (value: number) => {
    guest.outb(command, value);
    return drain();
  };
  return { guest, controller, keyboardIrq, mouseIrq, drain, toKeyboard, toMouse, ask };
}

test("Linux's probe: flush, self test, interface tests, configuration", () => {
  const { guest, drain, ask } = plugController(fakeGuest());
  assert.deepEqual(drain(), []);
  assert.deepEqual(ask(0xaa), [0x55]);
  assert.deepEqual(ask(0xab), [0x00]);
  assert.deepEqual(ask(0xa9), [0x00]);
  guest.outb(command, 0x60);
  guest.outb(data, 0x47);
  assert.deepEqual(ask(0x20), [0x47]);
});

test("Linux finds the auxiliary port: loop-back, and its disable bit follows the commands", () => {
  const { guest, ask } = plugController(fakeGuest());
  guest.outb(command, 0xd3);
  guest.outb(data, 0x5a);
  assert.equal(guest.inb(command) & (outputFull | mouseOutput), outputFull | mouseOutput);
  assert.equal(guest.inb(data), 0x5a);
  guest.outb(command, 0xa7);
  assert.equal((ask(0x20)[0] ?? 0) & 0x20, 0x20);
  guest.outb(command, 0xa8);
  assert.equal((ask(0x20)[0] ?? 0) & 0x20, 0);
});

test("the keyboard answers reset, identification, echo, scan code set and LEDs", () => {
  const { guest, toKeyboard } = plugController(fakeGuest());
  assert.deepEqual(toKeyboard(0xff), [0xfa, 0xaa]);
  assert.deepEqual(toKeyboard(0xf2), [0xfa, 0xab, 0x41], "translated");
  guest.outb(command, 0x60);
  guest.outb(data, 0x07);
  assert.deepEqual(toKeyboard(0xf2), [0xfa, 0xab, 0x83]);
  assert.deepEqual(toKeyboard(0xee), [0xee]);
  assert.deepEqual(toKeyboard(0xf0, 0x00), [0xfa, 0xfa, 0x02]);
  assert.deepEqual(toKeyboard(0xed, 0x02), [0xfa, 0xfa]);
  assert.deepEqual(toKeyboard(0x05), [0xfe], "what it does not know");
});

test("the mouse answers reset, identification, status and rate", () => {
  const { toMouse } = plugController(fakeGuest());
  assert.deepEqual(toMouse(0xff), [0xfa, 0xaa, 0x00]);
  assert.deepEqual(toMouse(0xf2), [0xfa, 0x00]);
  assert.deepEqual(toMouse(0xf3, 200, 0xe8, 3, 0xf4), [0xfa, 0xfa, 0xfa, 0xfa, 0xfa]);
  assert.deepEqual(toMouse(0xe9), [0xfa, 0x20, 3, 200]);
});

test("bytes of keyboard and mouse raise their own interrupts, one edge a byte", () => {
  const { guest, keyboardIrq, mouseIrq, toKeyboard, toMouse } = plugController(fakeGuest());
  toKeyboard(0xff);
  assert.equal(keyboardIrq.rises, 2);
  toMouse(0xff);
  assert.equal(mouseIrq.rises, 3);
  guest.outb(command, 0x60);
  guest.outb(data, 0x44);
  toKeyboard(0xff);
  assert.equal(keyboardIrq.rises, 2, "not while the configuration forbids it");
});

test("movement comes as packets with signs and the rest in the next one", () => {
  const { controller, drain, toMouse } = plugController(fakeGuest());
  toMouse(0xf4);
  controller.moveMouse(-3, 5, 1);
  assert.deepEqual(drain(), [0x19, 0xfd, 5]);
  controller.moveMouse(300, 0, 0);
  controller.moveMouse(0, 0, 0);
  assert.deepEqual(drain(), [0x08, 255, 0, 0x08, 45, 0]);
});

test("0xFE, and a cleared reset bit of the output port, reset the machine", () => {
  const { guest } = plugController(fakeGuest());
  guest.outb(command, 0xff);
  assert.equal(guest.machine.resets, 0);
  guest.outb(command, 0xfe);
  assert.equal(guest.machine.resets, 1);
  guest.outb(command, 0xd1);
  guest.outb(data, 0x02);
  assert.equal(guest.machine.resets, 2);
});

test("the A20 bit of the output port can be written and read", () => {
  const { guest, ask } = plugController(fakeGuest());
  guest.outb(command, 0xd1);
  guest.outb(data, 0xdd);
  assert.deepEqual(ask(0xd0), [0xdd]);
  guest.outb(command, 0xdf);
  assert.deepEqual(ask(0xd0), [0xdf]);
});

deviceContract({ name: "i8042", plug: (guest) => plugController(guest).controller });
