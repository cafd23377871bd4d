#!/usr/bin/env node
// Starts the compiled program; nothing else is loaded here, so that --help answers at once.
import { existsSync } from "node:fs";

const program = new URL("../dist/src/cli/main.js", import.meta.url);
if (existsSync(program)) {
  const { runProgram } = await import(program.href);
  await runProgram();
} else {
  process.stderr.write("tsbhyve: not compiled yet; run npm run build (or npm start) first\n");
  process.exitCode = 4;
}
