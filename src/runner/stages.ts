/** How set-up tells what it is doing: one line a stage, and how far it is if that is known. */

export interface Stages {
  /** Something begins that takes a while. */
  say(text: string): void;
  /** How far the present stage is, from 0 to 1. */
  progress(fraction: number): void;
}

export const silentStages: Stages = { say: () => {}, progress: () => {} };

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Lines on `output`; a terminal also sees a percentage, a file or pipe every quarter of it. */
export function stagesOn(output: Output): Stages {
  let stage = "";
  let shown = -1;
  const onTerminal = output.isTTY === true;
  let open = false;
  const close = () => {
    if (open) {
      output.write("\n");
      open = false;
    }
  };
  return {
    say(text) {
      close();
      stage = text;
      shown = onTerminal ? 0 : 25;
      output.write(onTerminal ? `== ${text}` : `== ${text}\n`);
      open = onTerminal;
    },
    progress(fraction) {
      const percent = Math.floor(Math.min(Math.max(fraction, 0), 1) * 100);
      if (percent < shown || (percent === shown && onTerminal)) {
        return;
      }
      if (onTerminal) {
        shown = percent;
        output.write(`\r== ${stage}: ${percent} %`);
        open = true;
      } else {
        shown = (Math.floor(percent / 25) + 1) * 25;
        output.write(`== ${stage}: ${percent} %\n`);
      }
    },
  };
}
