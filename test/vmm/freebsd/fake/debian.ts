/** `npm run test:vmm`: Debian's kernel boots through the fake /dev/vmm of each version. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { exitStatus } from "../../../../src/base/errors.ts";
import { debianGuest } from "../../../support/debian.ts";
import { testFolder } from "../../../support/folder.ts";
import { assert, skipTest, test } from "../../../support/harness.ts";
import { repositoryRoot } from "../../../support/paths.ts";
import { fakeVmm, versions } from "./run.ts";

const limitMs = 180_000;
const prompt = "/root # ";
const fake = fakeVmm(testFolder());
const guest = debianGuest();

/** Resolves to the status and all output; types `poweroff` at the shell's prompt. */
function boot(version: string, kernelPath: string, initrdPath: string) {
  assert.ok("command" in fake);
  const [program, ...words] = fake.command(version, [join(repositoryRoot, "bin", "tsbhyve.mjs"),
    "-m", "256M", "-o", "vmm.backend=vmm", "-o", `boot.kernel=${kernelPath}`,
    "-o", `boot.initrd=${initrdPath}`, "-o", "boot.cmdline=console=ttyS0 quiet",
    "-s", "0,hostbridge", "-s", "31,lpc", "-l", "com1,stdio", "debian"]);
  return new Promise<{ status: number | null; output: string }>((resolve) => {
    const child = spawn(program, words, { stdio: ["pipe", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    let output = "", asked = false;
    const take = (bytes: Buffer) => {
      output += bytes.toString("latin1");
      if (!asked && output.includes(prompt)) {
        asked = true;
        child.stdin.write("poweroff\n");
      }
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, output });
    });
  });
}

for (const version of versions) {
  const name = `${version}: Debian's kernel boots to a shell and powers off`;
  const reason = "reason" in fake ? fake.reason : "reason" in guest ? guest.reason : undefined;
  if (reason !== undefined) {
    skipTest(name, reason);
  } else {
    test(name, async () => {
      assert.ok("kernelPath" in guest);
      const { status, output } = await boot(version, guest.kernelPath, guest.initrdPath);
      assert.match(output, /init: the disk \/dev\/vda could not be mounted/, output);
      assert.match(output, /The command poweroff ends the machine/, output);
      assert.equal(status, exitStatus.powerOff, output);
    });
  }
}
