/**
 * Registers as a table: what stands in a datasheet's register list, read by dispatch, tests and
 * documentation alike.
 */
import { assert } from "../base/assert.ts";
import { onesOf, truncate } from "../base/bits.ts";

/** How one register behaves. A row names a `field` of the state, or functions, or both. */
export interface Behaviour<D> {
  /** The bank in which this row shows; all banks when absent. */
  readonly bank?: number;
  /** Name of the state field the register reads and writes. */
  readonly field?: string;
  /** Bits that a write may change; the others keep their value. */
  readonly mask?: number;
  /** Bytes; the map's `width` when absent. */
  readonly size?: number;
  readonly read?: (device: D) => number;
  readonly write?: (device: D, value: number) => void;
}

export type Row<D> = readonly [
  offset: number, name: string, access: "r" | "w" | "rw", behaviour: Behaviour<D>,
];

export interface RegisterMapOptions<D> {
  /** Bytes the whole block covers. */
  readonly size: number;
  /** Bytes of a register unless its row says otherwise; 1 when absent. */
  readonly width?: number;
  readonly banks?: number;
  readonly bank?: (device: D) => number;
  readonly rows: readonly Row<D>[];
  /** What an offset without a readable register gives; ones when absent. */
  readonly empty?: number;
}

export interface RegisterMap<D> {
  readonly size: number;
  readonly rows: readonly Row<D>[];
  /** Any offset and size: wide accesses are joined from the registers they touch. */
  read(device: D, offset: number, size: number): number;
  write(device: D, offset: number, size: number, value: number): void;
}

interface Stateful {
  readonly state: Record<string, unknown>;
}

interface Cell<D> {
  readonly offset: number;
  readonly size: number;
  readonly reader: ((device: D) => number) | undefined;
  readonly writer: ((device: D, value: number) => void) | undefined;
}

function fieldReader<D extends Stateful>(field: string): (device: D) => number {
  return (device) => {
    const value = device.state[field];
    assert(typeof value === "number", `state field ${field} is a number`);
    return value;
  };
}

function fieldWriter<D extends Stateful>(field: string, mask: number | undefined) {
  const read = fieldReader<D>(field);
  return (device: D, value: number) => {
    device.state[field] = mask === undefined
      ? value
      : ((read(device) & ~mask) | (value & mask)) >>> 0;
  };
}

function makeCell<D extends Stateful>(row: Row<D>, width: number): Cell<D> {
  const [offset, name, access, how] = row;
  const reader = how.read ?? (how.field === undefined ? undefined : fieldReader<D>(how.field));
  const writer = how.write
    ?? (how.field === undefined ? undefined : fieldWriter<D>(how.field, how.mask));
  assert(!access.includes("r") || reader !== undefined, `register ${name} can be read`);
  assert(!access.includes("w") || writer !== undefined, `register ${name} can be written`);
  return {
    offset, size: how.size ?? width,
    reader: access.includes("r") ? reader : undefined,
    writer: access.includes("w") ? writer : undefined,
  };
}

/** Builds the dispatch tables of a register block; overlapping rows are a defect and assert. */
export function registerMap<D extends Stateful>(options: RegisterMapOptions<D>): RegisterMap<D> {
  const { size, width = 1, banks = 1, rows } = options;
  const bankOf = options.bank ?? (() => 0);
  const readers: (Cell<D> | undefined)[] = Array.from({ length: banks * size }, () => undefined);
  const writers: (Cell<D> | undefined)[] = Array.from({ length: banks * size }, () => undefined);
  for (const row of rows) {
    const cell = makeCell(row, width);
    const first = row[3].bank ?? 0;
    const last = row[3].bank ?? banks - 1;
    for (let bank = first; bank <= last; bank += 1) {
      for (let at = cell.offset; at < cell.offset + cell.size; at += 1) {
        const slot = bank * size + at;
        assert(at < size, `register ${row[1]} lies inside its block`);
        assert(cell.reader === undefined || readers[slot] === undefined, `${row[1]} reads alone`);
        assert(cell.writer === undefined || writers[slot] === undefined, `${row[1]} writes alone`);
        if (cell.reader !== undefined) readers[slot] = cell;
        if (cell.writer !== undefined) writers[slot] = cell;
      }
    }
  }
  const empty = options.empty ?? 0xffff_ffff;
  const read = (device: D, offset: number, length: number): number => {
    // Nearly every access is one whole register; polling loops of drivers live here.
    const whole = offset < size ? readers[bankOf(device) * size + offset] : undefined;
    if (whole?.reader !== undefined && whole.offset === offset && whole.size === length) {
      return truncate(whole.reader(device), length);
    }
    let value = 0;
    for (let done = 0; done < length;) {
      const at = offset + done;
      const cell = at < size ? readers[bankOf(device) * size + at] : undefined;
      const skip = cell === undefined ? 0 : at - cell.offset;
      const count = Math.min(length - done, cell === undefined ? 1 : cell.size - skip);
      const raw = cell?.reader === undefined ? empty : cell.reader(device);
      const part = truncate(raw >>> (skip * 8), count);
      value = (value | (part << (done * 8))) >>> 0;
      done += count;
    }
    return truncate(value, length);
  };
  const write = (device: D, offset: number, length: number, value: number): void => {
    const whole = offset < size ? writers[bankOf(device) * size + offset] : undefined;
    if (whole?.writer !== undefined && whole.offset === offset && whole.size === length) {
      whole.writer(device, value);
      return;
    }
    for (let done = 0; done < length;) {
      const at = offset + done;
      const cell = at < size ? writers[bankOf(device) * size + at] : undefined;
      const skip = cell === undefined ? 0 : at - cell.offset;
      const count = Math.min(length - done, cell === undefined ? 1 : cell.size - skip);
      if (cell?.writer !== undefined) {
        const part = truncate(value >>> (done * 8), count);
        cell.writer(device, merge(cell, device, skip, count, part));
      }
      done += count;
    }
  };
  return { size, rows, read, write };
}

/** A write narrower than its register keeps the register's other bytes where it can read them. */
function merge<D>(cell: Cell<D>, device: D, skip: number, count: number, part: number): number {
  if (count === cell.size) {
    return part;
  }
  const old = cell.reader === undefined ? 0 : cell.reader(device);
  const mask = onesOf(count) << (skip * 8);
  return ((old & ~mask) | ((part << (skip * 8)) & mask)) >>> 0;
}
