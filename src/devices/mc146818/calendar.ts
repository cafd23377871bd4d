/** The time registers of an MC146818 (Motorola datasheet, table 2): bytes to seconds and back. */

/** Register numbers of the time and of its alarm. */
export const timeRegister = {
  seconds: 0, secondsAlarm: 1, minutes: 2, minutesAlarm: 3, hours: 4, hoursAlarm: 5,
  weekday: 6, day: 7, month: 8, year: 9, century: 0x32,
} as const;

/** How register B says that numbers are written. */
export interface Format {
  readonly binary: boolean;
  readonly hours24: boolean;
}

const afternoon = 0x80;
/** Alarm bytes from here on match every value. */
const anyValue = 0xc0;

function encode(value: number, format: Format): number {
  return format.binary ? value : (Math.floor(value / 10) % 10 << 4) | value % 10;
}

function decode(byte: number, format: Format): number {
  return format.binary ? byte : (byte >>> 4) * 10 + (byte & 15);
}

function encodeHour(hour: number, format: Format): number {
  return format.hours24
    ? encode(hour, format)
    : encode(hour % 12 || 12, format) | (hour >= 12 ? afternoon : 0);
}

function decodeHour(byte: number, format: Format): number {
  return format.hours24
    ? decode(byte, format)
    : decode(byte & ~afternoon, format) % 12 + ((byte & afternoon) !== 0 ? 12 : 0);
}

/** Writes the moment (seconds since 1970) into the registers. */
export function storeTime(registers: Uint8Array, seconds: number, format: Format): void {
  const date = new Date(seconds * 1000);
  const year = date.getUTCFullYear();
  registers[timeRegister.seconds] = encode(date.getUTCSeconds(), format);
  registers[timeRegister.minutes] = encode(date.getUTCMinutes(), format);
  registers[timeRegister.hours] = encodeHour(date.getUTCHours(), format);
  registers[timeRegister.weekday] = encode(date.getUTCDay() + 1, format);
  registers[timeRegister.day] = encode(date.getUTCDate(), format);
  registers[timeRegister.month] = encode(date.getUTCMonth() + 1, format);
  registers[timeRegister.year] = encode(year % 100, format);
  registers[timeRegister.century] = encode(Math.floor(year / 100) % 100, format);
}

/** The moment the registers show; values out of their range carry over, as in a calendar. */
export function loadTime(registers: Uint8Array, format: Format): number {
  const at = (index: number) => decode(registers[index] ?? 0, format);
  const year = at(timeRegister.century) * 100 + at(timeRegister.year);
  const hour = decodeHour(registers[timeRegister.hours] ?? 0, format);
  return Date.UTC(year, at(timeRegister.month) - 1, at(timeRegister.day), hour,
    at(timeRegister.minutes), at(timeRegister.seconds)) / 1000;
}

const dayS = 24 * 60 * 60;

/** The alarm matches some second in (after, until]. */
export function alarmMatches(
  registers: Uint8Array, format: Format, after: number, until: number,
): boolean {
  const wanted = (index: number, value: (byte: number) => number) => {
    const byte = registers[index] ?? 0;
    return byte >= anyValue ? -1 : value(byte);
  };
  const second = wanted(timeRegister.secondsAlarm, (byte) => decode(byte, format));
  const minute = wanted(timeRegister.minutesAlarm, (byte) => decode(byte, format));
  const hour = wanted(timeRegister.hoursAlarm, (byte) => decodeHour(byte, format));
  const meets = (want: number, value: number) => want < 0 || want === value;
  // An alarm that matches at all does so within a day: older seconds need no look.
  for (let at = Math.max(after + 1, until - dayS + 1); at <= until; at += 1) {
    if (meets(second, at % 60) && meets(minute, Math.floor(at / 60) % 60)
      && meets(hour, Math.floor(at / 3600) % 24)) {
      return true;
    }
  }
  return false;
}
