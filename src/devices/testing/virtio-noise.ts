/** A virtio driver gone mad, for the device contract: plausible registers, rings full of noise. */
import { gpa } from "../../base/units.ts";
import type { Claim } from "../../fabric/address-space.ts";
import type { FakeGuest } from "./fake-guest.ts";

/** Rings of noise lie here, and buffers in the pages around them. */
const ringPages = 4;
const pageBytes = 4096;
const decodeAll = 7;

const barOf = (claims: readonly Claim[], index: number) =>
  claims.find(({ name }) => name.endsWith(`BAR ${index}`))?.base;

/** One misdeed; called between the random register accesses of the contract. */
export function disturbVirtio(guest: FakeGuest, random: () => number): void {
  if (random() % 8 !== 0) {
    return;
  }
  // The random accesses switch decoding off all the time.
  guest.outl(0xcf8, 0x8000_0004);
  guest.outw(0xcfc, decodeAll);
  makeNoise(guest, random);
  const ports = barOf(guest.ports.claims(), 0);
  const modern = barOf(guest.mmio.claims(), 4);
  if (ports !== undefined && random() % 2 === 0) {
    guest.outb(ports + 18, random() % 4 === 0 ? 0 : 7);
    guest.outl(ports + 4, random());
    guest.outw(ports + 14, 0);
    guest.outl(ports + 8, 1 + (random() % ringPages));
    guest.outw(ports + 16, 0);
  } else if (modern !== undefined) {
    startModern(guest, modern, random);
  }
}

function makeNoise(guest: FakeGuest, random: () => number): void {
  const { memory } = guest;
  for (let index = 0; index < 64; index += 1) {
    const page = gpa((1 + (random() % ringPages)) * pageBytes);
    const at = gpa(page + (random() % 128) * 16);
    memory.setU64(at, random() % (16 * pageBytes));
    memory.setU32(gpa(at + 8), random() % (random() % 2 === 0 ? 64 : 0x1_0000));
    // Flags and link of a split descriptor, or id and flags of a packed one that is available.
    const packed = random() % 2 === 0;
    memory.setU16(gpa(at + 12), packed ? random() : random() % 8);
    memory.setU16(gpa(at + 14), packed ? (random() % 8) | (random() % 8 === 0 ? 0x8000 : 0x80)
      : random() % 130);
    // The available ring follows the table of 64 or 128 descriptors.
    memory.setU16(gpa(page + (random() % 2 === 0 ? 1024 : 2048) + (random() % 16) * 2),
      random() % 64);
  }
}

function startModern(guest: FakeGuest, base: number, random: () => number): void {
  guest.mmio.write(base + 20, 1, 0);
  guest.mmio.write(base + 20, 1, 3);
  for (const word of [0, 1]) {
    guest.writel(base, word);
    const offered = guest.readl(base + 4);
    guest.writel(base + 8, word);
    // Only without VERSION_1 are features refused, so everything else may come and go.
    guest.writel(base + 12, (offered & (word === 0 ? random() : random() | 1)) >>> 0);
  }
  guest.mmio.write(base + 20, 1, 11);
  guest.mmio.write(base + 22, 2, 0);
  guest.mmio.write(base + 24, 2, 64 - (random() % 2) * (random() % 64));
  const page = (1 + (random() % ringPages)) * pageBytes;
  for (const [index, part] of [page, page + 1024, page + 2048].entries()) {
    guest.writel(base + 32 + index * 8, part);
    guest.writel(base + 36 + index * 8, 0);
  }
  guest.mmio.write(base + 28, 2, 1);
  guest.mmio.write(base + 20, 1, 15);
  guest.writel(base + 0x3000, 0);
  if (random() % 8 === 0) {
    guest.mmio.write(base + 58, 2, 1); // QUEUE_RESET, where it was agreed on.
  }
}
