/** Registers of the 16550A (National PC16550D datasheet, tables II and III). */
import { bits } from "../../base/bits.ts";
import { registerMap } from "../../fabric/register-map.ts";
import type { UartChip } from "./chip.ts";

export const ier = bits({ received: 0, transmitterEmpty: 1, lineStatus: 2, modemStatus: 3 });
export const lcr = bits({ sendBreak: 6, divisorLatch: 7 });
export const mcr = bits({ dtr: 0, rts: 1, out1: 2, out2: 3, loop: 4 });
export const lsr = bits({
  dataReady: 0, overrun: 1, parity: 2, framing: 3, break: 4, holdingEmpty: 5, idle: 6,
});
export const msr = bits({
  deltaCts: 0, deltaDsr: 1, edgeRi: 2, deltaDcd: 3, cts: 4, dsr: 5, ri: 6, dcd: 7,
});
export const fcr = bits({ enable: 0, clearReceiver: 1, clearTransmitter: 2 });

export const uartRegisters = registerMap<UartChip>({
  size: 8, banks: 2, bank: (uart) => (uart.state.lcr & lcr.divisorLatch) !== 0 ? 1 : 0,
  rows: [
    [0, "RBR", "r", { bank: 0, read: (uart) => uart.receive() }],
    [0, "THR", "w", { bank: 0, write: (uart, byte) => uart.transmit(byte) }],
    [0, "DLL", "rw", { bank: 1, field: "divisorLow" }],
    [1, "IER", "rw", {
      bank: 0, field: "ier", write: (uart, value) => uart.writeInterruptEnable(value),
    }],
    [1, "DLH", "rw", { bank: 1, field: "divisorHigh" }],
    [2, "IIR", "r", { read: (uart) => uart.identify() }],
    [2, "FCR", "w", { write: (uart, value) => uart.writeFifoControl(value) }],
    [3, "LCR", "rw", { field: "lcr", write: (uart, value) => uart.writeLineControl(value) }],
    [4, "MCR", "rw", { field: "mcr", write: (uart, value) => uart.writeModemControl(value) }],
    [5, "LSR", "r", { read: (uart) => uart.lineStatus() }],
    [6, "MSR", "r", { read: (uart) => uart.modemStatus() }],
    [7, "SCR", "rw", { field: "scratch" }],
  ],
});
