/** `npm start`: from a fresh checkout to a guest's shell, in stages that the user sees. */
import { cacheFolder } from "../host/folders.ts";
import { runCommand } from "./debian/command.ts";
import { prepareLinux } from "./linux-guest.ts";
import { stagesOn } from "./stages.ts";

export async function quickStart(words: readonly string[]): Promise<number> {
  const stages = stagesOn(process.stderr);
  const linux = await prepareLinux({
    cache: cacheFolder(), stages, run: runCommand, hostArchitecture: process.arch,
    update: words.includes("--update"),
  });
  console.log(`kernel=${linux.kernelPath}\ninitrd=${linux.initrdPath}`);
  return 0;
}
