/** Compiled code of a few regions as text, so that a change of code generation shows in review.
 * `UPDATE=1` writes the texts anew. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import wabt from "wabt";
import { assert, test } from "../../support/harness.ts";
import { repositoryRoot } from "../../support/paths.ts";
import { enterLongMode, testMachine } from "../system/machine-code.ts";

const folder = join(repositoryRoot, "test", "cpu", "jit", "golden");
const codeAt = 0x8000;

/** What each region shows, and its machine code; a loop that never ends. */
const regions: Readonly<Record<string, readonly number[]>> = {
  // L: add rax,rcx; dec rcx; jnz L; jmp L
  "compare-and-branch": [0x48, 0x01, 0xc8, 0x48, 0xff, 0xc9, 0x75, 0xf8, 0xeb, 0xf6],
  // L: mov rdx,[rsi+rcx*8]; add [rdi],edx; jmp L
  "memory": [0x48, 0x8b, 0x14, 0xce, 0x01, 0x17, 0xeb, 0xf8],
  // L: call F; jmp L; F: inc eax; ret
  "call-and-return": [0xe8, 2, 0, 0, 0, 0xeb, 0xf9, 0xff, 0xc0, 0xc3],
  // L: addpd xmm0,xmm1; paddd xmm2,[rsi]; jmp L
  "vectors": [0x66, 0x0f, 0x58, 0xc1, 0x66, 0x0f, 0xfe, 0x16, 0xeb, 0xf6],
};

async function textOf(code: readonly number[]): Promise<string> {
  const tools = await wabt();
  const made = testMachine({ jit: { threshold: 50 } });
  enterLongMode(made);
  made.ram.set(code, codeAt);
  const { cpu } = made;
  cpu.rip = BigInt(codeAt);
  cpu.setGpr(4, 0x40000n);
  cpu.setGpr(6, 0x20000n);
  cpu.setGpr(7, 0x30000n);
  const modules: Uint8Array[] = [];
  assert.ok(cpu.regions);
  cpu.regions.onRegion = (module) => modules.push(module);
  cpu.run(2000);
  // A callee may be hot a moment before its caller; the last region has both.
  const module = modules.at(-1);
  assert.ok(module, "a region was compiled");
  const parsed = tools.readWasm(module, { readDebugNames: true, threads: true, simd: true });
  const text = parsed.toText({ foldExprs: true, inlineExport: false });
  parsed.destroy();
  return text;
}

for (const [name, code] of Object.entries(regions)) {
  test(`the region of ${name} is the one on file`, async () => {
    const path = join(folder, `${name}.wat`);
    const text = await textOf(code);
    if (process.env["UPDATE"] === "1") {
      writeFileSync(path, text);
    }
    assert.equal(text, readFileSync(path, "utf8"));
  });
}
