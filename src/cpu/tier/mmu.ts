/**
 * Address translation in generated code (Intel SDM 3A, chapter 4): the page walk, the refill of
 * the soft TLB, and accesses that cross a page, reach a device, or hit decoded code.
 */
import {
  access, cr0Bits, cr4Bits, eferBits, eflags, notCanonical, pageFault, physicalAddressBits,
  regionFlags, state, tlbArrayBytes, vector,
} from "../layout.ts";
import {
  i32, i64, load, op, select, type Code, type Label, type Node,
} from "../wasm/code.ts";
import type { ModuleBuilder } from "../wasm/module.ts";
import type { MemoryMap } from "./memory-map.ts";

/** Function indexes of the module that other generated code calls. */
export interface MmuFunctions {
  /** (linear i64, request i32) → host address, or 0 with the fault in the state. */
  readonly access: number;
  readonly accessCompiled: number;
  /** () → nothing: completes a write that went to the scratch area. */
  readonly commit: number;
  /** (linear i64, page-fault bits i32) → physical address, or -1 with the fault in the state. */
  readonly walk: number;
  readonly segment: number;
}

export interface MmuImports {
  /** (gpa low, gpa high, size) → value; of size 0, whether the access ends the run. */
  readonly deviceRead: number;
  /** (gpa low, gpa high, size, value). */
  readonly deviceWrite: number;
  /** (host address, length): decoded code there is about to change. */
  readonly codeWritten: number;
}

const at = (address: number) => i32(address);
const word = (address: number) => load("i32.load", at(0), address);
const quad = (address: number) => load("i64.load", at(0), address);
const and64 = (a: Node, mask: bigint | number) => op("i64.and", a, i64(mask));
const has64 = (a: Node, mask: bigint | number) => op("i64.ne", and64(a, mask), i64(0));

const addressMask = ((1n << BigInt(physicalAddressBits)) - 1n) & ~0xfffn;
const tooHigh = ((1n << 52n) - 1n) & ~((1n << BigInt(physicalAddressBits)) - 1n);
const entry = { present: 1, writable: 2, user: 4, accessed: 0x20, dirty: 0x40, large: 0x80 };
const noExecute = 1n << 63n;

/** (physical i64) → host address of RAM or ROM, or 0. */
function buildHostOf(module: ModuleBuilder): { index: number; readOnly: number } {
  const build = (wantReadOnly: boolean) => {
    const { index, code } = module.declare(["i64"], ["i32"]);
    const cursor = code.local("i32"), end = code.local("i32");
    code.set(cursor, i32(state.regions));
    code.set(end, op("i32.add", i32(state.regions),
      op("i32.shl", word(state.regionCount), i32(5))));
    code.loop((again) => {
      const region = code.get(cursor);
      code.if(op("i32.and",
        op("i64.ge_u", code.get(0), load("i64.load", region, 0)),
        op("i64.lt_u", code.get(0), load("i64.load", region, 8))), () => {
        code.return(wantReadOnly
          ? op("i32.and", load("i32.load", region, 20), i32(regionFlags.readOnly))
          : op("i32.add", op("i32.wrap_i64", code.get(0)), load("i32.load", region, 16)));
      }, undefined, true);
      code.set(cursor, op("i32.add", code.get(cursor), i32(32)));
      code.br(again, op("i32.lt_u", code.get(cursor), code.get(end)));
    });
    code.return(i32(0));
    return index;
  };
  return { index: build(false), readOnly: build(true) };
}

/** What the walk gathers on its way down. */
interface Walk {
  readonly code: Code;
  readonly linear: number;
  readonly request: number;
  /** The entry in hand, its host address, the shift of its level. */
  readonly entry: number;
  readonly host: number;
  readonly shift: number;
  /** AND of all entries: writable and user bits; and OR of the no-execute bits. */
  readonly allowed: number;
  readonly forbidden: number;
}

function raisePageFault(walk: Walk, bits: Node): void {
  const { code } = walk;
  code.store("i32.store", at(0), i32(vector.pf), state.faultVector);
  const fetchCounts = op("i32.or",
    has64(quad(state.cr4), cr4Bits.smep),
    op("i32.and", has64(quad(state.efer), eferBits.nxe), has64(quad(state.cr4), cr4Bits.pae)));
  const request = op("i32.and", code.get(walk.request),
    select(fetchCounts, i32(0x16), i32(0x06)));
  code.store("i32.store", at(0), op("i32.or", bits, request), state.faultError);
  code.store("i64.store", at(0), code.get(walk.linear), state.faultAddress);
  code.return(i64(-1));
}

/** Reads the entry at `physical` and checks that it is present and well formed. */
function readEntry(walk: Walk, physical: Node, hostOf: number, wide: boolean): void {
  const { code } = walk;
  code.set(walk.host, code.callFor("i32", hostOf, physical));
  code.set(walk.entry, i64(0));
  code.if(code.get(walk.host), () => {
    code.set(walk.entry, load(wide ? "i64.load" : "i64.load32_u", code.get(walk.host)));
  });
  code.if(op("i32.eqz", has64(code.get(walk.entry), entry.present)), () => {
    raisePageFault(walk, i32(0));
  }, undefined, false);
}

function checkReserved(walk: Walk, mask: Node): void {
  const { code } = walk;
  code.if(op("i64.ne", op("i64.and", code.get(walk.entry), mask), i64(0)), () => {
    raisePageFault(walk, i32(pageFault.present | pageFault.reserved));
  }, undefined, false);
}

function gather(walk: Walk): void {
  const { code } = walk;
  code.set(walk.allowed, op("i64.and", code.get(walk.allowed), code.get(walk.entry)));
  code.set(walk.forbidden, op("i64.or", code.get(walk.forbidden), code.get(walk.entry)));
}

function setAccessed(walk: Walk, wide: boolean): void {
  const { code } = walk;
  code.if(op("i64.eqz", and64(code.get(walk.entry), entry.accessed)), () => {
    code.set(walk.entry, op("i64.or", code.get(walk.entry), i64(entry.accessed)));
    code.store(wide ? "i64.store" : "i64.store32", code.get(walk.host), code.get(walk.entry));
  }, undefined, false);
}

/** Tables of 512 entries of 8 bytes: 4-level paging, and PAE below its page-directory pointers. */
function walkWide(walk: Walk, hostOf: number, table: number, leaf: Label): void {
  const { code } = walk;
  const nxReserved = select(has64(quad(state.efer), eferBits.nxe), i64(0), i64(noExecute));
  const reserved = code.bind(op("i64.or", i64(tooHigh), nxReserved));
  code.loop((again) => {
    const shift = op("i64.extend_i32_u", code.get(walk.shift));
    const index = and64(op("i64.shr_u", code.get(walk.linear), shift), 511);
    const place = op("i64.add", code.get(table), op("i64.shl", index, i64(3)));
    readEntry(walk, place, hostOf, true);
    checkReserved(walk, reserved);
    gather(walk);
    code.br(leaf, op("i32.eq", code.get(walk.shift), i32(12)));
    code.if(has64(code.get(walk.entry), entry.large), () => {
      code.br(leaf, op("i32.le_u", code.get(walk.shift), i32(30)));
      checkReserved(walk, i64(entry.large)); // No large pages at the top level.
    });
    setAccessed(walk, true);
    code.set(table, and64(code.get(walk.entry), addressMask));
    code.set(walk.shift, op("i32.sub", code.get(walk.shift), i32(9)));
    code.br(again);
  });
}

/** The four page-directory pointers of PAE paging have no permissions of their own. */
function walkPae(walk: Walk, hostOf: number, table: number, leaf: Label): void {
  const { code } = walk;
  const index = and64(op("i64.shr_u", code.get(walk.linear), i64(30)), 3);
  const place = op("i64.add", and64(quad(state.cr3), 0xffff_ffe0n),
    op("i64.shl", index, i64(3)));
  readEntry(walk, place, hostOf, true);
  code.set(table, and64(code.get(walk.entry), addressMask));
  code.set(walk.shift, i32(21));
  walkWide(walk, hostOf, table, leaf);
}

/** Two levels of 1,024 entries of 4 bytes. */
function walkNarrow(walk: Walk, hostOf: number, table: number, leaf: Label): void {
  const { code } = walk;
  const slot = (base: Node, shift: number) => op("i64.add", base,
    op("i64.shl", and64(op("i64.shr_u", code.get(walk.linear), i64(shift)), 1023), i64(2)));
  code.set(walk.shift, i32(22));
  readEntry(walk, slot(and64(quad(state.cr3), 0xffff_f000n), 22), hostOf, false);
  gather(walk);
  code.if(op("i32.and", has64(code.get(walk.entry), entry.large),
    has64(quad(state.cr4), cr4Bits.pse)), () => {
    checkReserved(walk, i64(0x20_0000));
    // PSE-36: bits 20:13 of the entry are address bits 39:32.
    const high = op("i64.shl", and64(code.get(walk.entry), 0x1f_e000), i64(19));
    code.set(table, op("i64.or", and64(code.get(walk.entry), 0xffc0_0000n), high));
    code.br(leaf);
  });
  setAccessed(walk, false);
  code.set(table, and64(code.get(walk.entry), 0xffff_f000n));
  code.set(walk.shift, i32(12));
  readEntry(walk, slot(code.get(table), 12), hostOf, false);
  gather(walk);
  code.set(table, and64(code.get(walk.entry), 0xffff_f000n));
  code.br(leaf);
}

/** Rights of the translation against the request (SDM 3A §4.6). */
function checkRights(walk: Walk): void {
  const { code } = walk;
  const request = (bit: number) => op("i32.and", code.get(walk.request), i32(bit));
  const allowed = (bit: number) => has64(code.get(walk.allowed), bit);
  const denied = code.local("i32");
  const deny = (condition: Node) =>
    code.set(denied, op("i32.or", code.get(denied), condition));
  const nonZero = (node: Node) => op("i32.ne", node, i32(0));
  code.set(denied, i32(0));
  code.if(request(pageFault.user), () => {
    deny(op("i32.eqz", allowed(entry.user)));
    deny(op("i32.and", nonZero(request(pageFault.write)), op("i32.eqz", allowed(entry.writable))));
  }, () => {
    deny(op("i32.and", op("i32.and", nonZero(request(pageFault.write)),
      op("i32.eqz", allowed(entry.writable))), has64(quad(state.cr0), cr0Bits.wp)));
    code.if(allowed(entry.user), () => {
      const isFetch = nonZero(request(pageFault.fetch));
      deny(op("i32.and", isFetch, has64(quad(state.cr4), cr4Bits.smep)));
      const noAc = op("i32.eqz", op("i32.and", word(state.systemFlags), i32(eflags.ac)));
      const implicit = op("i32.eq", word(state.cpl), i32(3));
      deny(op("i32.and", op("i32.and", op("i32.eqz", isFetch),
        has64(quad(state.cr4), cr4Bits.smap)), op("i32.or", noAc, implicit)));
    });
  });
  deny(op("i32.and", nonZero(request(pageFault.fetch)),
    op("i32.and", op("i64.lt_s", code.get(walk.forbidden), i64(0)),
      has64(quad(state.efer), eferBits.nxe))));
  code.if(code.get(denied), () => raisePageFault(walk, i32(pageFault.present)), undefined, false);
}

function setDirty(walk: Walk, wide: Node): void {
  const { code } = walk;
  const wanted = code.bind(select(op("i32.and", code.get(walk.request), i32(pageFault.write)),
    i64(entry.accessed | entry.dirty), i64(entry.accessed)));
  const missing = op("i64.ne", op("i64.and", code.get(walk.entry), wanted), wanted);
  code.if(missing, () => {
    code.set(walk.entry, op("i64.or", code.get(walk.entry), wanted));
    code.if(wide, () => code.store("i64.store", code.get(walk.host), code.get(walk.entry)),
      () => code.store("i64.store32", code.get(walk.host), code.get(walk.entry)));
  }, undefined, false);
}

function buildWalk(module: ModuleBuilder, hostOf: number): number {
  const { index, code } = module.declare(["i64", "i32"], ["i64"]);
  const walk: Walk = {
    code, linear: 0, request: 1, entry: code.local("i64"), host: code.local("i32"),
    shift: code.local("i32"), allowed: code.local("i64"), forbidden: code.local("i64"),
  };
  const table = code.local("i64");
  code.if(op("i32.eqz", has64(quad(state.cr0), BigInt(cr0Bits.pg))), () => {
    code.return(and64(code.get(0), 0xffff_ffffn));
  });
  code.set(walk.allowed, i64(-1));
  code.set(walk.forbidden, i64(0));
  code.block((leaf) => {
    code.if(has64(quad(state.efer), eferBits.lma), () => {
      const canonical = op("i64.shr_s", op("i64.shl", code.get(0), i64(16)), i64(16));
      code.if(op("i64.ne", canonical, code.get(0)), () => {
        code.store("i32.store", at(0), i32(vector.gp), state.faultVector);
        code.store("i32.store", at(0), i32(notCanonical), state.faultError);
        code.store("i64.store", at(0), code.get(0), state.faultAddress);
        code.return(i64(-1));
      }, undefined, false);
      code.set(table, and64(quad(state.cr3), addressMask));
      code.set(walk.shift, i32(39));
      walkWide(walk, hostOf, table, leaf);
    }, undefined, true);
    code.if(has64(quad(state.cr4), cr4Bits.pae),
      () => walkPae(walk, hostOf, table, leaf),
      () => walkNarrow(walk, hostOf, table, leaf));
  });
  checkRights(walk);
  const wide = op("i32.or", has64(quad(state.efer), eferBits.lma),
    has64(quad(state.cr4), cr4Bits.pae));
  setDirty(walk, wide);
  const low = op("i64.sub", op("i64.shl", i64(1), op("i64.extend_i32_u", code.get(walk.shift))),
    i64(1));
  const offset = op("i64.and", code.get(0), low);
  const frame = op("i64.and", select(wide, and64(code.get(walk.entry), addressMask),
    code.get(table)), op("i64.xor", low, i64(-1)));
  code.return(op("i64.or", frame, offset));
  return index;
}

/** Pieces that `access` and `commit` share. */
interface SlowParts {
  readonly module: ModuleBuilder;
  readonly imports: MmuImports;
  readonly map: MemoryMap;
  readonly hostOf: number;
  readonly isReadOnly: number;
  readonly walk: number;
}

/** (host, length) → 1 while the page stays watched: forgets decoded code that a store hits. */
function buildCodeCheck(parts: SlowParts): number {
  const { module, imports, map } = parts;
  const { index, code } = module.declare(["i32", "i32"], ["i32"]);
  const page = code.bind(op("i32.shr_u", op("i32.sub", code.get(0), i32(map.ram)), i32(12)));
  code.if(op("i32.eqz", load("i32.load8_u", page, map.codePages)), () => code.return(i32(0)),
    undefined, true);
  const lines = load("i64.load", op("i32.shl", page, i32(3)), map.codeLines);
  const line = (address: Node) => op("i64.extend_i32_u",
    op("i32.and", op("i32.shr_u", address, i32(6)), i32(63)));
  const first = code.bind(line(code.get(0)));
  const last = line(op("i32.sub", op("i32.add", code.get(0), code.get(1)), i32(1)));
  const span = op("i64.sub", op("i64.shl", i64(2), op("i64.sub", last, first)), i64(1));
  code.if(op("i64.ne", op("i64.and", op("i64.shr_u", lines, first), span), i64(0)), () => {
    code.call(imports.codeWritten, code.get(0), code.get(1));
  });
  code.return(load("i32.load8_u", page, map.codePages));
  return index;
}

function isWrite(code: Code): Node {
  return op("i32.and", code.get(1), i32(access.write));
}

function sizeOf(code: Code): Node {
  return op("i32.and", code.get(1), i32(access.sizeMask));
}

/** Walks for the request in parameter 1; returns 0 from the function on a fault. */
function translate(parts: SlowParts, code: Code, linear: Node): Node {
  const user = op("i32.shl", op("i32.eq", word(state.cpl), i32(3)), i32(2));
  const write = op("i32.shr_u", isWrite(code), i32(7));
  const physical = code.callFor("i64", parts.walk, linear, op("i32.or", user, write));
  code.if(op("i64.eq", physical, i64(-1)), () => code.return(i32(0)), undefined, false);
  return physical;
}

/** Moves `size` bytes between the scratch area and a device, at most four at a time. */
function deviceTransfer(code: Code, gpa: Node, size: Node, move: (address: Node, offset: Node,
  bytes: Node) => void): void {
  const done = code.local("i32");
  code.set(done, i32(0));
  code.loop((again) => {
    const rest = code.bind(op("i32.sub", size, code.get(done)));
    const bytes = code.bind(select(op("i32.ge_u", rest, i32(4)), i32(4),
      select(op("i32.ge_u", rest, i32(2)), i32(2), i32(1))));
    const address = code.bind(op("i64.add", gpa, op("i64.extend_i32_u", code.get(done))));
    move(address, code.get(done), bytes);
    code.set(done, op("i32.add", code.get(done), bytes));
    code.br(again, op("i32.lt_u", code.get(done), size));
  });
}

const low32 = (value: Node) => op("i32.wrap_i64", value);
const high32 = (value: Node) => op("i32.wrap_i64", op("i64.shr_u", value, i64(32)));

const pendingKind = { split: 1, device: 2, none: 3 };

/** (physical, request) → scratch: the access reaches a device, ROM, or nothing. */
function buildDeviceAccess(parts: SlowParts): number {
  const { module, imports } = parts;
  const { index, code } = module.declare(["i64", "i32"], ["i32"]);
  const size = code.bind(sizeOf(code));
  code.if(word(state.deviceExits), () => {
    const ends = code.callFor("i32", imports.deviceRead, low32(code.get(0)), high32(code.get(0)),
      i32(0));
    code.if(ends, () => code.return(i32(0)));
  }, undefined, false);
  const plainWrite = op("i32.eq",
    op("i32.and", code.get(1), i32(access.write | access.modify)), i32(access.write));
  code.if(plainWrite, () => {}, () => {
    deviceTransfer(code, code.get(0), size, (address, offset, bytes) => {
      const value = code.callFor("i32", imports.deviceRead, low32(address), high32(address), bytes);
      code.store("i32.store", offset, value, state.scratch);
    });
  });
  code.store("i64.store", at(0), code.get(0), state.pendingGpa);
  code.store("i32.store", at(0), size, state.pendingSize);
  code.store("i32.store", at(0), i32(pendingKind.device), state.pendingKind);
  code.return(i32(state.scratch));
  return index;
}

/** (linear, request) → scratch, or 0: the access lies in two pages. */
function buildSplitAccess(parts: SlowParts): number {
  const { module, hostOf } = parts;
  const { index, code } = module.declare(["i64", "i32"], ["i32"]);
  const long = has64(quad(state.efer), eferBits.lma);
  const next = op("i64.and", op("i64.add", op("i64.or", code.get(0), i64(0xfff)), i64(1)),
    select(long, i64(-1), i64(0xffff_ffffn)));
  const first = code.bind(translate(parts, code, code.get(0)));
  const second = code.bind(translate(parts, code, next));
  const host0 = code.callFor("i32", hostOf, first);
  const host1 = code.callFor("i32", hostOf, second);
  const count = code.bind(op("i32.sub", i32(4096), low32(and64(code.get(0), 0xfff))));
  const rest = code.bind(op("i32.sub", sizeOf(code), count));
  code.fill(i32(state.scratch), i32(0xff), i32(64));
  code.if(host0, () => code.copy(i32(state.scratch), host0, count));
  code.if(host1, () => code.copy(op("i32.add", i32(state.scratch), count), host1, rest));
  // What is not memory, or may not be written, is left out of the write.
  const writable = (host: Node, physical: Node) => select(
    code.callFor("i32", parts.isReadOnly, physical), i32(0), host);
  code.store("i32.store", at(0), writable(host0, first), state.pendingHost0);
  code.store("i32.store", at(0), writable(host1, second), state.pendingHost1);
  code.store("i32.store", at(0), op("i32.or", count, op("i32.shl", rest, i32(16))),
    state.pendingSize);
  code.store("i32.store", at(0), i32(pendingKind.split), state.pendingKind);
  code.return(i32(state.scratch));
  return index;
}

function buildCommit(parts: SlowParts, codeCheck: number): number {
  const { module, imports } = parts;
  const { index, code } = module.declare([], []);
  const size = code.bind(word(state.pendingSize));
  code.if(op("i32.eq", word(state.pendingKind), i32(pendingKind.device)), () => {
    deviceTransfer(code, quad(state.pendingGpa), size, (address, offset, bytes) => {
      const value = load("i32.load", offset, state.scratch);
      code.call(imports.deviceWrite, low32(address), high32(address), bytes, value);
    });
    code.return();
  });
  const count = op("i32.and", size, i32(0xffff));
  const rest = op("i32.shr_u", size, i32(16));
  const flush = (host: Node, from: Node, length: Node) => code.if(host, () => {
    code.drop(code.callFor("i32", codeCheck, host, length));
    code.copy(host, from, length);
  });
  code.if(op("i32.eq", word(state.pendingKind), i32(pendingKind.split)), () => {
    flush(word(state.pendingHost0), i32(state.scratch), count);
    flush(word(state.pendingHost1), op("i32.add", i32(state.scratch), count), rest);
  });
  return index;
}

/** Enters a translation into the TLB; a write enters both arrays. */
function refill(code: Code, host: Node): void {
  const slot = code.bind(op("i32.add", word(state.tlb),
    op("i32.and", low32(op("i64.shr_u", code.get(0), i64(8))), i32(tlbArrayBytes - 16))));
  const tag = code.bind(and64(code.get(0), -4096n));
  const delta = code.bind(op("i32.sub", host, low32(code.get(0))));
  code.store("i64.store", slot, tag, 0);
  code.store("i32.store", slot, delta, 8);
  code.if(isWrite(code), () => {
    code.store("i64.store", slot, tag, tlbArrayBytes);
    code.store("i32.store", slot, delta, tlbArrayBytes + 8);
  });
}

function buildAccess(parts: SlowParts, codeCheck: number): number {
  const { module } = parts;
  const device = buildDeviceAccess(parts);
  const split = buildSplitAccess(parts);
  const { index, code } = module.declare(["i64", "i32"], ["i32"]);
  const offset = low32(and64(code.get(0), 0xfff));
  code.if(op("i32.gt_u", op("i32.add", offset, sizeOf(code)), i32(4096)), () => {
    code.return(code.callFor("i32", split, code.get(0), code.get(1)));
  }, undefined, false);
  code.store("i32.store", at(0), op("i32.add", word(state.tlbMisses), i32(1)), state.tlbMisses);
  const physical = code.bind(translate(parts, code, code.get(0)));
  const host = code.callFor("i32", parts.hostOf, physical);
  code.if(op("i32.eqz", host), () => {
    code.return(code.callFor("i32", device, physical, code.get(1)));
  }, undefined, false);
  code.if(isWrite(code), () => {
    code.if(code.callFor("i32", parts.isReadOnly, physical), () => {
      // Writes to ROM vanish, but a read-modify-write still reads.
      code.copy(i32(state.scratch), host, sizeOf(code));
      code.store("i32.store", at(0), i32(pendingKind.none), state.pendingKind);
      code.return(i32(state.scratch));
    }, undefined, false);
    code.if(code.callFor("i32", codeCheck, host, sizeOf(code)), () => code.return(host), undefined,
      false);
  });
  refill(code, host);
  code.return(host);
  return index;
}

/**
 * (segment i32, offset i64, request i32) → linear address, or -1 with #GP(0) or #SS(0): the
 * checks of protected mode outside 64-bit code (SDM 3A §5.3, §5.4).
 */
function buildSegment(module: ModuleBuilder): number {
  const { index, code } = module.declare(["i32", "i64", "i32"], ["i64"]);
  const segment = code.get(0), request = code.get(2);
  const slot = op("i32.shl", segment, i32(2));
  const attributes = code.bind(load("i32.load", slot, state.segmentAttributes));
  const limit = code.bind(load("i64.load32_u", slot, state.segmentLimit));
  const bit = (mask: number) => op("i32.ne", op("i32.and", attributes, i32(mask)), i32(0));
  const last = code.bind(op("i64.add", code.get(1), op("i64.extend_i32_u",
    op("i32.sub", op("i32.and", request, i32(access.sizeMask)), i32(1)))));
  const bad = code.local("i32");
  const fail = (condition: Node) => code.set(bad, op("i32.or", code.get(bad), condition));
  code.set(bad, bit(0x1_0000));
  const write = op("i32.ne", op("i32.and", request, i32(access.write)), i32(0));
  // Type bit 3: code, and bit 1: writable data or readable code.
  const isCode = bit(8), second = bit(2);
  fail(op("i32.and", write, op("i32.or", isCode, op("i32.eqz", second))));
  fail(op("i32.and", op("i32.eqz", write), op("i32.and", isCode, op("i32.eqz", second))));
  const down = op("i32.and", op("i32.eqz", isCode), bit(4));
  const top = select(bit(0x4000), i64(0xffff_ffffn), i64(0xffffn));
  fail(select(down,
    op("i32.or", op("i64.le_u", code.get(1), limit), op("i64.gt_u", last, top)),
    op("i64.gt_u", last, limit)));
  code.if(code.get(bad), () => {
    code.store("i32.store", at(0), select(op("i32.eq", segment, i32(2)), i32(vector.ss),
      i32(vector.gp)), state.faultVector);
    code.store("i32.store", at(0), i32(0), state.faultError);
    code.return(i64(-1));
  }, undefined, false);
  const base = load("i64.load", op("i32.shl", segment, i32(3)), state.segmentBase);
  code.return(and64(op("i64.add", base, code.get(1)), 0xffff_ffffn));
  return index;
}

/**
 * The same as `access` for compiled code, which an address of 1 tells that the store would hit code
 * that has been compiled: it must be done by the interpreter.
 */
function buildAccessCompiled(module: ModuleBuilder, access: number): number {
  const { index, code } = module.declare(["i64", "i32"], ["i32"]);
  const host = code.callFor("i32", access, code.get(0), code.get(1));
  code.return(select(op("i32.and", op("i32.ne", host, i32(0)),
    op("i32.ne", word(state.codeChanged), i32(0))), i32(1), host));
  return index;
}

export function buildMmu(module: ModuleBuilder, imports: MmuImports, map: MemoryMap): MmuFunctions {
  const hostOf = buildHostOf(module);
  const walk = buildWalk(module, hostOf.index);
  const parts: SlowParts = {
    module, imports, map, walk, hostOf: hostOf.index, isReadOnly: hostOf.readOnly,
  };
  const codeCheck = buildCodeCheck(parts);
  const access = buildAccess(parts, codeCheck);
  return {
    access, accessCompiled: buildAccessCompiled(module, access),
    commit: buildCommit(parts, codeCheck), walk, segment: buildSegment(module),
  };
}

