/** The OCF agent under ocf-tester, and the job script under a Slurm of our own on loopback. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { testFolder } from "../../support/folder.ts";
import { afterAll, assert, skipTest, test } from "../../support/harness.ts";
import { repositoryRoot } from "../../support/paths.ts";
import { echoRom } from "../vm/echo-rom.ts";

const folder = testFolder();
const root = process.getuid?.() === 0;
const has = (...programs: string[]) => programs.every((program) =>
  spawnSync("sh", ["-c", "command -v \"$1\"", "sh", program]).status === 0);

const children: ChildProcess[] = [];
afterAll(() => {
  children.forEach((child) => child.kill("SIGTERM"));
});

if (!root || !has("ocf-tester", "xmllint")) {
  skipTest("ocf-tester passes", "this needs root, resource-agents and libxml2-utils");
} else {
  test("ocf-tester passes", () => {
    const program = folder.file("tsvm");
    writeFileSync(program,
      `#!/bin/sh\nexec ${process.execPath} ${join(repositoryRoot, "bin", "tsvm.mjs")} "$@"\n`);
    chmodSync(program, 0o755);
    writeFileSync(folder.file("echo.rom"), echoRom());
    const vms = folder.file("vms");
    const create = spawnSync(program, ["create", "echo", "--rom", folder.file("echo.rom"),
      "--memory", "16M"], { encoding: "utf8", env: { ...process.env, TSVM_ROOT: vms } });
    assert.equal(create.status, 0, create.stderr);
    const { status, stdout, stderr } = spawnSync("ocf-tester", ["-n", "echo", "-o", "name=echo",
      "-o", `root=${vms}`, "-o", `program=${program}`, "-o", "timeout=5",
      join(repositoryRoot, "contrib", "ocf", "tsbhyve")],
    { encoding: "utf8", timeout: 500_000 });
    spawnSync(program, ["destroy", "echo", "--force"],
      { env: { ...process.env, TSVM_ROOT: vms } });
    assert.match(stdout, /passed all tests/, stdout + stderr);
    assert.equal(status, 0);
  });
}

/** Ports of the two daemons, on loopback only. */
const ports = { controller: 26_817, node: 26_818 };

function slurmConfiguration(): string {
  return `ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=${folder.file("munge.socket")}
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=${folder.file("state")}
SlurmdSpoolDir=${folder.file("spool")}
SlurmctldPidFile=${folder.file("slurmctld.pid")}
SlurmdPidFile=${folder.file("slurmd.pid")}
SlurmctldPort=${ports.controller}
SlurmdPort=${ports.node}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=localhost NodeAddr=127.0.0.1 NodeHostname=localhost CPUs=2 State=UNKNOWN
PartitionName=all Nodes=localhost Default=YES MaxTime=INFINITE State=UP
`;
}

function daemon(command: string, ...words: string[]): void {
  children.push(spawn(command, words, { stdio: "ignore",
    env: { ...process.env, SLURM_CONF: folder.file("slurm.conf") } }));
}

async function startSlurm(): Promise<void> {
  chmodSync(folder.path, 0o755);
  for (const name of ["state", "spool", "munge"]) {
    mkdirSync(folder.file(name), { mode: 0o755 });
  }
  writeFileSync(folder.file("munge.key"), randomBytes(128), { mode: 0o400 });
  writeFileSync(folder.file("slurm.conf"), slurmConfiguration());
  daemon("munged", "--foreground", "--force", `--key-file=${folder.file("munge.key")}`,
    `--socket=${folder.file("munge.socket")}`, `--log-file=${folder.file("munge/log")}`,
    `--pid-file=${folder.file("munge/pid")}`, `--seed-file=${folder.file("munge/seed")}`);
  for (let tries = 0; tries < 100 && !existsSync(folder.file("munge.socket")); tries += 1) {
    await delay(100);
  }
  daemon("slurmctld", "-D", "-f", folder.file("slurm.conf"), "-L", folder.file("slurmctld.log"));
  daemon("slurmd", "-D", "-N", "localhost", "-f", folder.file("slurm.conf"),
    "-L", folder.file("slurmd.log"));
}

function slurm(command: string, ...words: string[]) {
  return spawnSync(command, words, { encoding: "utf8", cwd: folder.path, timeout: 60_000,
    env: { ...process.env, SLURM_CONF: folder.file("slurm.conf"), BENCHES: "one two" } });
}

if (!root || !has("slurmctld", "slurmd", "munged", "sbatch")) {
  skipTest("Slurm runs the array", "this needs root, slurmctld, slurmd, slurm-client and munge");
} else {
  test("Slurm runs the array, one benchmark a task", async () => {
    await startSlurm();
    // The matrix itself takes minutes: two stand-ins show which task runs which.
    mkdirSync(folder.file("dist/bench"), { recursive: true });
    for (const name of ["one", "two"]) {
      writeFileSync(folder.file(`dist/bench/${name}.js`), `console.log("result of ${name}");`);
    }
    let submitted = slurm("sbatch", "--version");
    for (let tries = 0; tries < 60; tries += 1) {
      submitted = slurm("sbatch", "--parsable", "--array=0-2", "--output=bench-%a.txt",
        join(repositoryRoot, "contrib", "slurm", "bench-matrix.sh"));
      if (submitted.status === 0) {
        break;
      }
      await delay(500);
    }
    assert.equal(submitted.status, 0, submitted.stderr);
    const output = (task: number) => existsSync(folder.file(`bench-${task}.txt`))
      ? readFileSync(folder.file(`bench-${task}.txt`), "utf8") : "";
    const finished = () => /result of one/.test(output(0)) && /result of two/.test(output(1))
      && /there are 2 benchmarks/.test(output(2));
    for (let tries = 0; tries < 240 && !finished(); tries += 1) {
      await delay(500);
    }
    assert.ok(finished(), [output(0), output(1), output(2), slurm("squeue").stdout,
      slurm("sinfo").stdout].join("\n"));
  });
}
