/** What semantics say of the arithmetic flags, gathered until the end of an instruction. */
import type { Node } from "../wasm/code.ts";
import type { Value } from "./value.ts";

export type Flag = "cf" | "pf" | "af" | "zf" | "sf" | "of";

/** What the flags become: either pieces, or the common shape of an addition. */
export interface FlagUpdate {
  result: Value | undefined;
  carries: Value | undefined;
  readonly bits: Map<Flag, Value>;
  /** Flags stay as they are unless this holds. */
  only: Node | undefined;
}

/** What an instruction does with the arithmetic flags, as running its semantics shows. */
export interface FlagEffect {
  /** Some flag's old value matters. */
  reads: boolean;
  writes: boolean;
  /** Nothing of the old flags is left. */
  kills: boolean;
}

/** Whether an update leaves nothing of the old flags. */
export function isWhole({ bits, result, carries, only }: FlagUpdate): boolean {
  const gone = (flag: Flag, byPart: Value | undefined) => byPart !== undefined || bits.has(flag);
  return only === undefined && gone("cf", carries) && gone("of", carries) && gone("af", carries)
    && gone("zf", result) && gone("sf", result) && gone("pf", result);
}
