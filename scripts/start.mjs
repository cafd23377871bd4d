// `npm start`: installs and compiles what is missing, then leaves the rest to src/runner.
import { compile, installPackages } from "./build.mjs";

const say = (message) => console.error(`== ${message}`);

try {
  installPackages(say);
  compile(say);
  const { quickStart } = await import("../dist/src/runner/quick-start.js");
  process.exitCode = await quickStart(process.argv.slice(2));
} catch (error) {
  console.error(`npm start: ${error instanceof Error ? error.message : error}`);
  process.exitCode = error?.status ?? 4;
}
