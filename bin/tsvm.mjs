#!/usr/bin/env node
// Starts the compiled runner.
import { existsSync } from "node:fs";

const program = new URL("../dist/src/runner/vm/command.js", import.meta.url);
if (existsSync(program)) {
  const { runProgram } = await import(program.href);
  await runProgram();
} else {
  process.stderr.write("tsvm: not compiled yet; run npm run build (or npm start) first\n");
  process.exitCode = 4;
}
