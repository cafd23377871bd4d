/** What semantics say of the arithmetic flags, gathered until the end of an instruction. */
import type { Node } from "../wasm/code.ts";
import type { Value } from "./value.ts";

export type Flag = "cf" | "pf" | "af" | "zf" | "sf" | "of";

/** result = a - b, a + b, or a logical operation: what compiled code makes of CMP and Jcc. */
export type FlagOrigin =
  | { readonly operation: "sub" | "add"; readonly a: Value; readonly b: Value }
  | { readonly operation: "logic" };

/** What the flags become: either pieces, or the common shape of an addition. */
export interface FlagUpdate {
  result: Value | undefined;
  carries: Value | undefined;
  /** Where result and carries come from, if a condition may be computed from that directly. */
  origin: FlagOrigin | undefined;
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
