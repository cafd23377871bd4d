/** The processor's state at the entry point of a directly loaded kernel: plain data, so that the
 * loaders know nothing of back ends. */
export type EntryRegister =
  | "rax" | "rcx" | "rdx" | "rbx" | "rsp" | "rbp" | "rsi" | "rdi"
  | "rip" | "rflags" | "cr0" | "cr3" | "cr4" | "efer";

export type EntrySegment = "es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr";

export interface EntryState {
  /** What is not named keeps its value from reset. */
  readonly registers: Readonly<Partial<Record<EntryRegister, bigint>>>;
  /** Hidden parts too; attributes as VMCS access rights (Intel SDM 3C §24.4.1). */
  readonly segments: Readonly<Partial<Record<EntrySegment, {
    readonly selector: number;
    readonly base: bigint;
    readonly limit: number;
    readonly attributes: number;
  }>>>;
  readonly gdtr?: { readonly base: bigint; readonly limit: number };
  readonly idtr?: { readonly base: bigint; readonly limit: number };
}
