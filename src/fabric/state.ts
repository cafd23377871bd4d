/** Copies of device state: reset, snapshot and restore are made of these and of nothing else. */
import type { DeviceState } from "./device.ts";

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    && !ArrayBuffer.isView(value);
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** An independent copy. */
export function copyState<T extends DeviceState>(state: T): T {
  return structuredClone(state);
}

/** Makes `target` equal to `source`. Records and typed arrays inside `target` keep their
 * identity, because a device may hold on to them. */
export function assignState(target: DeviceState, source: DeviceState): void {
  for (const [key, value] of Object.entries(source)) {
    target[key] = assigned(target[key], value);
  }
}

function assigned(old: unknown, value: unknown): unknown {
  if (isRecord(old) && isRecord(value)) {
    assignState(old, value);
    return old;
  }
  if (Array.isArray(old) && Array.isArray(value)) {
    old.length = Math.min(old.length, value.length);
    for (const [index, item] of value.entries()) {
      old[index] = assigned(old[index], item);
    }
    return old;
  }
  if (ArrayBuffer.isView(old) && ArrayBuffer.isView(value) && old.byteLength === value.byteLength) {
    bytesOf(old).set(bytesOf(value));
    return old;
  }
  return structuredClone(value);
}

/** A text that is the same exactly when two states are the same. */
export function describeState(state: DeviceState): string {
  return JSON.stringify(state, (_key, value: unknown) => {
    if (ArrayBuffer.isView(value)) {
      return { [value.constructor.name]: [...bytesOf(value)] };
    }
    return typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value))
      ? `${typeof value} ${String(value)}`
      : value;
  }, 1);
}
