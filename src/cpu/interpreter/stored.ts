/** A generated interpreter as two files: its module, and what is known of it as text. */
import type { FlagEffect } from "../isa/flags.ts";
import type { GeneratedInterpreter } from "./generate.ts";

export interface StoredInterpreter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly text: string;
}

interface Knowledge {
  readonly operations: [string, number][];
  readonly writesMemory: string[];
  readonly flagEffects: [string, FlagEffect][];
  readonly withoutFlags: [number, number][];
}

export function storeInterpreter(generated: GeneratedInterpreter): StoredInterpreter {
  const knowledge: Knowledge = {
    operations: [...generated.operations], writesMemory: [...generated.writesMemory],
    flagEffects: [...generated.flagEffects], withoutFlags: [...generated.withoutFlags],
  };
  return { bytes: generated.bytes, text: JSON.stringify(knowledge) };
}

export function restoreInterpreter({ bytes, text }: StoredInterpreter): GeneratedInterpreter {
  const knowledge: Knowledge = JSON.parse(text);
  return {
    bytes, operations: new Map(knowledge.operations),
    writesMemory: new Set(knowledge.writesMemory),
    flagEffects: new Map(knowledge.flagEffects), withoutFlags: new Map(knowledge.withoutFlags),
  };
}
