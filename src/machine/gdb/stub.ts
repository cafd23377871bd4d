/**
 * A stub for gdb's remote serial protocol (GDB manual, appendix E) in the machine's thread: it
 * stops and steps the virtual CPU, and reads and writes its registers and memory. Breakpoints are
 * INT3s that stand in memory only while the guest runs.
 */
import type { CharBackend } from "../../fabric/device.ts";
import type { RunResult, Vcpu, VcpuDebug } from "../../vmm/hypervisor.ts";
import { encodePacket, PacketReader, packetBytesMax, type Received } from "./packets.ts";
import { readAll, readOne, targetDescription, writeAll, writeOne } from "./registers.ts";

const signal = { interrupt: 2, trap: 5 } as const;
const int3 = 0xcc;
const breakpointsMax = 1000;
/** One reply holds so many bytes of memory. */
const memoryBytesMax = packetBytesMax / 4;
const pageBytes = 4096;

export interface GdbStubOptions {
  readonly backend: CharBackend;
  readonly vcpu: Vcpu;
  readonly debug: VcpuDebug;
  /** `gdb.wait`: the guest starts stopped. */
  readonly wait: boolean;
}

export class GdbStub {
  readonly #backend: CharBackend;
  readonly #vcpu: Vcpu;
  readonly #debug: VcpuDebug;
  readonly #reader = new PacketReader();
  /** Linear addresses. */
  readonly #breakpoints = new Set<bigint>();
  /** What INT3 has replaced, while the guest runs. */
  readonly #replaced = new Map<bigint, Uint8Array>();
  #output: number[] = [];
  #stopped: boolean;
  #wantsStep = false;
  #acknowledges = true;
  /** gdb waits to be told that the guest has stopped. */
  #owesReply = false;
  /** It asked for one instruction. */
  #replyAfterStep = false;

  constructor({ backend, vcpu, debug, wait }: GdbStubOptions) {
    this.#backend = backend;
    this.#vcpu = vcpu;
    this.#debug = debug;
    this.#stopped = wait;
  }

  /** The guest must not run. */
  get holds(): boolean {
    return this.#stopped;
  }

  /** Serves what gdb has sent; before every slice and after every wake-up. */
  poll(): void {
    for (let byte = this.#backend.get(); byte >= 0; byte = this.#backend.get()) {
      const received = this.#reader.take(byte);
      if (received !== undefined) {
        this.#serve(received);
      }
    }
    this.#flush();
  }

  /** Before a slice: true when an instruction is to be done alone, by `step`. */
  get steps(): boolean {
    return this.#wantsStep;
  }

  /** One instruction, as gdb asked, or the one at a breakpoint that the guest goes on from. */
  step(): RunResult {
    this.#wantsStep = false;
    const result = this.#debug.step();
    if (this.#owesReply && this.#replyAfterStep) {
      this.stop();
    } else {
      this.#insert();
    }
    return result;
  }

  /** The guest has met a breakpoint, or shall stop for another reason. */
  stop(reason: number = signal.trap): void {
    this.#remove();
    this.#stopped = true;
    this.#wantsStep = false;
    if (this.#owesReply) {
      this.#owesReply = false;
      this.#send(stopReply(reason));
    }
    this.#flush();
  }

  #serve(received: Received): void {
    if (received.kind === "interrupt") {
      this.stop(signal.interrupt);
      return;
    }
    if (this.#acknowledges) {
      this.#write(received.kind === "packet" ? "+" : "-");
    }
    if (received.kind === "packet") {
      if (!this.#stopped) {
        this.stop(); // A new client: it expects a guest that stands still.
      }
      const reply = this.#answer(received.text);
      if (reply !== undefined) {
        this.#send(reply);
      }
    }
  }

  /** The reply; undefined where it comes later or never, empty for what is not supported. */
  #answer(text: string): string | undefined {
    const rest = text.slice(1);
    switch (text[0]) {
      case "?": return stopReply(signal.trap);
      case "g": return readAll(this.#vcpu);
      case "G": return okOr(writeAll(this.#vcpu, rest));
      case "p": return readOne(this.#vcpu, parseInt(rest, 16)) ?? "E01";
      case "P": return okOr(this.#writeRegister(rest));
      case "m": return this.#readMemory(rest);
      case "M": return okOr(this.#writeMemory(rest));
      case "c": return this.#resume(rest, false);
      case "s": return this.#resume(rest, true);
      case "Z": case "z": return this.#changeBreakpoint(text);
      case "H": case "T": return "OK";
      case "D": this.#detach(); return "OK";
      case "k": this.#detach(); return undefined;
      case "q": case "Q": case "v": return this.#answerQuery(text);
      default: return "";
    }
  }

  #answerQuery(text: string): string | undefined {
    const [name = ""] = text.split(/[:;]/, 1);
    switch (name) {
      case "qSupported":
        this.#breakpoints.clear();
        this.#acknowledges = true;
        return `PacketSize=${packetBytesMax.toString(16)};qXfer:features:read+;QStartNoAckMode+;`
          + "vContSupported+";
      case "QStartNoAckMode": this.#acknowledges = false; return "OK";
      case "qAttached": return "1";
      case "qC": return "QC1";
      case "qfThreadInfo": return "m1";
      case "qsThreadInfo": return "l";
      case "qXfer": return part(text, targetDescription);
      case "vCont?": return "vCont;c;C;s;S";
      case "vCont": return this.#resume("", /^vCont;s/i.test(text));
      default: return "";
    }
  }

  #resume(address: string, step: boolean): undefined {
    if (/^[0-9a-f]+$/i.test(address)) {
      this.#vcpu.setRegister("rip", BigInt(`0x${address}`));
    }
    // Over what may be a breakpoint, with none in memory; then with all of them.
    this.#stopped = false;
    this.#wantsStep = true;
    this.#replyAfterStep = step;
    this.#owesReply = true;
    return undefined;
  }

  #detach(): void {
    this.#breakpoints.clear();
    this.#stopped = false;
    this.#owesReply = false;
  }

  #changeBreakpoint(text: string): string {
    const [, type, hex] = /^[zZ]([01]),([0-9a-f]+),/i.exec(text) ?? [];
    if (type === undefined || hex === undefined) {
      return "";
    }
    const at = BigInt(`0x${hex}`);
    if (text.startsWith("z")) {
      this.#breakpoints.delete(at);
    } else if (this.#breakpoints.size >= breakpointsMax
      || !this.#debug.read(at, new Uint8Array(1))) {
      return "E0e";
    } else {
      this.#breakpoints.add(at);
    }
    return "OK";
  }

  #insert(): void {
    for (const at of this.#breakpoints) {
      const old = new Uint8Array(1);
      if (this.#debug.read(at, old) && this.#debug.write(at, Uint8Array.of(int3))) {
        this.#replaced.set(at, old);
        this.#debug.breakpoints.add(at);
      }
    }
  }

  #remove(): void {
    for (const [at, old] of this.#replaced) {
      this.#debug.write(at, old);
    }
    this.#replaced.clear();
    this.#debug.breakpoints.clear();
  }

  #writeRegister(text: string): boolean {
    const [number = "", hex = ""] = text.split("=");
    return writeOne(this.#vcpu, parseInt(number, 16), hex);
  }

  #readMemory(text: string): string {
    const range = rangeOf(text);
    if (range === undefined) {
      return "E01";
    }
    const bytes = new Uint8Array(Math.min(range.length, memoryBytesMax));
    const done = this.#eachPage(range.at, bytes, (at, piece) => this.#debug.read(at, piece));
    return done === 0 && range.length > 0 ? "E0e" : Buffer.from(bytes.subarray(0, done))
      .toString("hex");
  }

  #writeMemory(text: string): boolean {
    const [place = "", hex = ""] = text.split(":");
    const range = rangeOf(place);
    const bytes = new Uint8Array(Buffer.from(hex, "hex"));
    return range !== undefined && range.length === bytes.length
      && this.#eachPage(range.at, bytes, (at, piece) => this.#debug.write(at, piece))
        === bytes.length;
  }

  /** Does as much as can be done; returns how many bytes that were. */
  #eachPage(
    start: bigint, bytes: Uint8Array, use: (at: bigint, piece: Uint8Array) => boolean,
  ): number {
    let done = 0;
    while (done < bytes.length) {
      const at = start + BigInt(done);
      const length = Math.min(bytes.length - done, pageBytes - Number(at & 0xfffn));
      if (!use(at, bytes.subarray(done, done + length))) {
        break;
      }
      done += length;
    }
    return done;
  }

  #send(text: string): void {
    this.#write(encodePacket(text));
  }

  #write(text: string): void {
    this.#output.push(...Buffer.from(text, "latin1"));
  }

  #flush(): void {
    let sent = 0;
    while (sent < this.#output.length && this.#backend.put(this.#output[sent] ?? 0)) {
      sent += 1;
    }
    this.#output = this.#output.slice(sent);
  }
}

const okOr = (done: boolean) => done ? "OK" : "E01";
const stopReply = (reason: number) => `T${reason.toString(16).padStart(2, "0")}thread:1;`;

function rangeOf(text: string): { readonly at: bigint; readonly length: number } | undefined {
  const [, at, length] = /^([0-9a-f]{1,16}),([0-9a-f]{1,8})$/i.exec(text) ?? [];
  return at === undefined || length === undefined ? undefined
    : { at: BigInt(`0x${at}`), length: parseInt(length, 16) };
}

/** `qXfer:features:read:target.xml:OFFSET,LENGTH`. */
function part(text: string, whole: string): string {
  const [, at, length] = /^qXfer:features:read:target\.xml:([0-9a-f]+),([0-9a-f]+)$/i.exec(text)
    ?? [];
  if (at === undefined || length === undefined) {
    return "";
  }
  const [from, count] = [parseInt(at, 16), parseInt(length, 16)];
  const piece = whole.slice(from, from + count);
  return `${from + count >= whole.length ? "l" : "m"}${piece}`;
}
