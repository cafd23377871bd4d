/** What a machine is made of, as its guest and its user see it. */
import { ConfigError } from "../../src/base/errors.ts";
import { readWholeFile } from "../../src/host/files.ts";
import { softHypervisor } from "../../src/vmm/software/hypervisor.ts";
import { buildMachine, planOf, romOf, scriptedHypervisor, slice, smallPc, type Keys,
} from "../support/boot.ts";
import { testFolder } from "../support/folder.ts";
import { assert, test } from "../support/harness.ts";

function problemKeys(action: () => unknown): readonly string[] {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(({ key }) => key);
  }
  return [];
}

test("PCI functions answer on both ways to configuration space, their BARs at addresses", () => {
  const keys: Keys = {
    ...smallPc, "pci.0.3.0.device": "virtio-blk", "pci.0.3.0.path": "/disk",
    "pci.0.4.0.device": "virtio-rnd",
  };
  const { run } = buildMachine(keys, scriptedHypervisor(function* look(guest) {
    const config = (slot: number, offset: number) => {
      guest.portWrite(0xcf8, 4, (0x8000_0000 | (slot << 11) | offset) >>> 0);
      return guest.portRead(0xcfc, 4);
    };
    assert.equal(config(0, 0), 0x1275_1275);
    assert.equal(config(31, 0), 0x7000_8086);
    assert.equal(config(3, 0), 0x1001_1af4);
    assert.equal(config(5, 0), 0xffff_ffff);
    assert.equal(guest.mmioRead(0xe000_0000 + (4 << 15), 4), 0x1005_1af4);
    const legacyBar = config(3, 0x10) & ~3;
    assert.ok(legacyBar >= 0x2000);
    assert.equal(guest.portRead(legacyBar + 18, 1), 0); // the status of a device after reset
    assert.equal(guest.portRead(0x4d1, 1) & 2, 0); // no kernel was loaded
    guest.portWrite(0xcf9, 1, 6);
    yield slice;
  }));
  assert.deepEqual(run(), { status: 0 });
});

test("without an LPC bridge there are no serial ports, but timers and clock", () => {
  const { run } = buildMachine({
    "memory.size": "16M", "boot.kernel": "/none", "pci.0.0.0.device": "hostbridge",
  }, scriptedHypervisor(function* look(guest) {
    assert.equal(guest.portRead(0x3fd, 1), 0xff);
    guest.portWrite(0x70, 1, 0x0d);
    assert.equal(guest.portRead(0x71, 1) & 0x80, 0x80);
    guest.portWrite(0xcf9, 1, 6);
    yield slice;
  }));
  assert.deepEqual(run(), { status: 0 });
});

test("firmware finds the size of memory in CMOS", () => {
  const { run } = buildMachine({ ...smallPc, "memory.size": "80M" },
    scriptedHypervisor(function* look(guest) {
      guest.portWrite(0x70, 1, 0x34);
      const low = guest.portRead(0x71, 1);
      guest.portWrite(0x70, 1, 0x35);
      assert.equal(guest.portRead(0x71, 1) * 256 + low, 64 * 16);
      guest.portWrite(0xcf9, 1, 6);
      yield slice;
    }));
  assert.deepEqual(run(), { status: 0 });
});

test("the debug console writes lines into the log, when it is configured", () => {
  const { messages, run } = buildMachine({ ...smallPc, "debug.console": "on" },
    scriptedHypervisor(function* print(guest) {
      for (const byte of Buffer.from("stage 1\r\nstage 2\n")) {
        guest.portWrite(0xe9, 1, byte);
      }
      guest.portWrite(0xcf9, 1, 6);
      yield slice;
    }));
  run();
  assert.deepEqual(messages, ["info: debug console: stage 1", "info: debug console: stage 2"]);
});

test("what no machine can be is said by key, all at once", () => {
  assert.deepEqual(problemKeys(() => planOf({
    ...smallPc, "memory.size": "5G", "cpus": "2", "clock": "virtual",
  })), ["memory.size", "cpus", "clock"]);
  assert.deepEqual(problemKeys(() => planOf({ ...smallPc, "memory.size": "5000001" })),
    ["memory.size"]);
});

test("a machine reset is as after power-on", () => {
  const { machine } = buildMachine(smallPc, scriptedHypervisor(function* nothing() {
    yield slice;
  }));
  machine.ports.write(0x404, 2, 0x0400);
  machine.ports.write(0x3ff, 1, 0x55);
  machine.reset();
  assert.equal(machine.ports.read(0x404, 2), 0);
  assert.equal(machine.ports.read(0x3ff, 1), 0);
  machine.destroy();
  assert.deepEqual(machine.ports.claims(), []);
  assert.deepEqual(machine.mmio.claims(), []);
});

const folder = testFolder();
/** cli; mov dx, 0x3f8; mov al, 'A'; out dx, al; then power off by 0x404 and halt. */
const printAndPowerOff = [
  0xfa, 0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xba, 0x04, 0x04, 0xb8, 0x00, 0x34, 0xef, 0xf4,
];

test("a boot ROM runs on the soft back end from the reset vector", () => {
  const { line, run } = buildMachine({
    "memory.size": "16M", "bootrom": folder.put("print.rom", romOf(printAndPowerOff)),
    "pci.0.31.0.device": "lpc",
  }, softHypervisor);
  assert.deepEqual(run(), { status: 1 });
  assert.equal(line.output, "A");
});

test("HLT with interrupts off and a triple fault have bhyve's statuses on the soft vCPU", () => {
  const statusOf = (name: string, code: readonly number[]) => buildMachine({
    "memory.size": "16M", "bootrom": folder.put(name, romOf(code)),
  }, softHypervisor).run().status;
  assert.equal(statusOf("halt.rom", [0xfa, 0xf4]), 2);
  // lidt [cs:8], int3: the table's limit is 0.
  assert.equal(statusOf("fault.rom", [
    0x2e, 0x0f, 0x01, 0x1e, 0x08, 0x00, 0xcc, 0x90, 0, 0, 0, 0, 0, 0,
  ]), 3);
});

test("a ROM that cannot be one is refused by key", () => {
  assert.deepEqual(problemKeys(() => buildMachine({
    "memory.size": "16M", "bootrom": folder.put("odd.rom", new Uint8Array(100)),
  }, softHypervisor)), ["bootrom"]);
});

test("code runs that lies above 2 GiB of the back end's memory", () => {
  const { line, run } = buildMachine({
    "memory.size": "2100M", "bootrom": folder.put("high.rom", romOf(printAndPowerOff)),
    "pci.0.31.0.device": "lpc",
  }, softHypervisor);
  assert.deepEqual(run(), { status: 1 });
  assert.equal(line.output, "A");
});

test("firmware has bhyve's interface with a boot ROM, QEMU's when asked, and else none", () => {
  const rom = folder.put("fwcfg-rom", romOf([]));
  const { "boot.kernel": kernel = "", ...board } = smallPc;
  const probe = (keys: Keys) => {
    const seen: number[] = [];
    const { run } = buildMachine({ ...board, ...keys }, scriptedHypervisor(function* look(guest) {
      guest.portWrite(0x510, 2, 0);
      seen.push(...[0, 1, 2, 3].map(() => guest.portRead(0x511, 1)));
      guest.portWrite(0xcf9, 1, 6);
      yield slice;
    }));
    run();
    return Buffer.from(seen).toString("latin1");
  };
  const withKernel: Keys = { "boot.kernel": kernel }, withRom: Keys = { "bootrom": rom };
  assert.equal(probe(withKernel), "\xff\xff\xff\xff");
  assert.equal(probe({ ...withKernel, "lpc.fwcfg": "qemu" }), "QEMU");
  assert.equal(probe(withRom), "BHYV");
  assert.equal(probe({ ...withRom, "lpc.fwcfg": "qemu" }), "QEMU");
});

test("firmware is told the order of boot devices, and no two can have one place", () => {
  const disk = (slot: number, index: string): Keys => ({
    [`pci.0.${slot}.0.device`]: "virtio-blk", [`pci.0.${slot}.0.path`]: "/disk",
    [`pci.0.${slot}.0.bootindex`]: index,
  });
  const build = (keys: Keys) => buildMachine({ ...smallPc, "lpc.fwcfg": "qemu", ...keys },
    scriptedHypervisor(function* read(guest) {
      const item = (selector: number, length: number) => {
        guest.portWrite(0x510, 2, selector);
        return Buffer.from(Array.from({ length }, () => guest.portRead(0x511, 1)));
      };
      const count = item(0x19, 4).readUInt32BE();
      const entries = item(0x19, 4 + count * 64);
      const at = entries.indexOf("bootorder") - 8;
      order = item(entries.readUInt16BE(at + 4), entries.readUInt32BE(at)).toString();
      guest.portWrite(0xcf9, 1, 6);
      yield slice;
    }));
  let order = "";
  build({ ...disk(3, "7"), ...disk(4, "2"), ...disk(5, "-1") }).run();
  assert.equal(order, "/pci@i0cf8/pci@4,0\n/pci@i0cf8/pci@3,0\0");
  assert.deepEqual(problemKeys(() => build({ ...disk(3, "1"), ...disk(4, "1") })),
    ["pci.0.4.0.bootindex"]);
});

test("firmware's variables outlive the machine in their file", () => {
  const { "boot.kernel": _, ...board } = smallPc;
  const variables = folder.put("variables", new Uint8Array(8192).fill(0xff));
  const keys: Keys = { ...board, "bootrom": folder.put("vars-rom", romOf([])),
    "bootvars": variables };
  const at = 2 ** 32 - 0x1_0000 - 8192 + 0x123; // Below the ROM of 64 KiB.
  let seen = 0;
  for (const value of [0x11, 0x22]) {
    buildMachine(keys, scriptedHypervisor(function* store(guest) {
      seen = guest.mmioRead(at, 1);
      guest.mmioWrite(at, 1, 0x10);
      guest.mmioWrite(at, 1, value);
      guest.portWrite(0xcf9, 1, 6);
      yield slice;
    })).run();
  }
  assert.equal(seen, 0x11, "what the first machine wrote");
  assert.equal(readWholeFile(variables)[0x123], 0x22);
  const bad = folder.put("odd-variables", new Uint8Array(5000));
  for (const path of [bad, "/none", folder.path]) {
    assert.deepEqual(problemKeys(() => buildMachine({ ...keys, "bootvars": path },
      scriptedHypervisor(function* none() {}))), ["bootvars"]);
  }
});
