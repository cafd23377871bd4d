/** How far long work is: size, speed and time left on a terminal, a line per 10 % elsewhere. */

export interface Progress {
  /** So many bytes are done. */
  at(doneBytes: number): void;
  end(): void;
}

export interface ProgressOptions {
  readonly what: string;
  readonly totalBytes: number;
  readonly output: { readonly isTTY?: boolean; write(text: string): unknown };
  readonly quiet?: boolean;
  readonly nowMs?: () => number;
}

const redrawMs = 100;

export function progressOf(
  { what, totalBytes, output, quiet = false, nowMs = () => performance.now() }: ProgressOptions,
): Progress {
  const start = nowMs();
  let drawn = -Infinity;
  let told = 0;
  const percentOf = (done: number) => totalBytes === 0 ? 100
    : Math.floor(done / totalBytes * 100);
  const draw = (done: number, ending: string) => {
    const seconds = Math.max((nowMs() - start) / 1000, 0.001);
    const speed = done / seconds;
    const left = speed > 0 ? Math.ceil((totalBytes - done) / speed) : 0;
    output.write(`\r${what}: ${percentOf(done)} % of ${sizeText(totalBytes)}, ${
      sizeText(speed)}/s, ${left} s left   ${ending}`);
  };
  return {
    at(done) {
      if (quiet) {
        return;
      }
      if (output.isTTY) {
        if (nowMs() - drawn >= redrawMs) {
          drawn = nowMs();
          draw(done, "");
        }
        return;
      }
      const step = Math.floor(percentOf(done) / 10) * 10;
      if (step > told) {
        told = step;
        output.write(`${what}: ${step} % of ${sizeText(totalBytes)}\n`);
      }
    },
    end() {
      if (!quiet && output.isTTY) {
        draw(totalBytes, "\n");
      }
    },
  };
}

export function sizeText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes, unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
