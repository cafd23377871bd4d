/** What does an exit to a device cost, dispatch included? A port and a memory register, called
 * from guest code; the same loops without the access are taken off. */
import { Processor } from "../src/cpu/system/processor.ts";
import { MmioSpace, PortSpace } from "../src/fabric/address-space.ts";
import { registerMap } from "../src/fabric/register-map.ts";

const loops = 2_000_000;
const rounds = 7;

class Register {
  readonly state = {};
  value = 0;
}

const map = registerMap<Register>({
  size: 4, width: 4,
  rows: [[0, "VALUE", "rw", {
    read: (device) => device.value, write: (device, value) => { device.value = value; },
  }]],
});

const count = [loops & 0xff, (loops >> 8) & 0xff, (loops >> 16) & 0xff, loops >>> 24];
/** mov ecx, loops; 1: body; dec ecx; jnz 1b; hlt; EBX is 0xFED00000 and EDX 0x600. */
function program(body: readonly number[]): number[] {
  const back = (0x100 - (body.length + 4)) & 0xff;
  return [0x66, 0xb9, ...count, 0x66, 0xbb, 0, 0, 0xd0, 0xfe, 0xba, 0, 6,
    ...body, 0x66, 0x49, 0x75, back, 0xf4];
}

function measure(body: readonly number[]): number {
  let best = Infinity;
  for (let round = 0; round < rounds; round += 1) {
    const ports = new PortSpace(), mmio = new MmioSpace();
    const device = new Register();
    const handler = {
      read: (offset: number, size: number) => map.read(device, offset, size),
      write: (offset: number, size: number, value: number) =>
        map.write(device, offset, size, value),
    };
    ports.claim("register", 0x600, 4, handler);
    mmio.claim("register", 0xfed0_0000, 0x1000, handler);
    const rom = new Uint8Array(64 * 1024).fill(0xf4);
    rom.set(program(body), 0);
    rom.set([0xea, 0, 0, 0, 0xf0], 0xfff0);
    const cpu = new Processor({
      ramBytes: 1 << 20, rom, now: () => 0, entropy() {},
      bus: {
        portRead: (port, size) => ports.read(port, size),
        portWrite: (port, size, value) => ports.write(port, size, value),
        mmioRead: (address, size) => mmio.read(address, size),
        mmioWrite: (address, size, value) => mmio.write(address, size, value),
      },
    });
    cpu.bytes.set(rom, cpu.map.ram + 0xf0000);
    // Big real mode, so that a 32-bit address reaches the device.
    cpu.setSegment(3, { selector: 0, base: 0n, limit: 0xffff_ffff, attributes: 0x93 });
    const start = performance.now();
    while (cpu.run(1_000_000) === "yield") {
      // Goes on until HLT.
    }
    best = Math.min(best, performance.now() - start);
  }
  return best * 1e6 / loops;
}

const empty = measure([0x90]);
const cases: readonly (readonly [string, readonly number[]])[] = [
  ["port read (in eax, dx)", [0x66, 0xed]],
  ["port write (out dx, eax)", [0x66, 0xef]],
  ["memory read (mov eax, [ebx])", [0x67, 0x66, 0x8b, 0x03]],
  ["memory write (mov [ebx], eax)", [0x67, 0x66, 0x89, 0x03]],
];
for (const [name, body] of cases) {
  console.log(`${name}: ${(measure(body) - empty).toFixed(0)} ns (bar: 200)`);
}
