/** What must hold between several keys. Each check follows the one that bhyve 15.1 makes. */
import type { Problem } from "../base/errors.ts";
import type { Globals } from "./schema.ts";
import type { ConfiguredFunction } from "./slots.ts";
import { readCpuList, readSize } from "./values.ts";
import type { Topology } from "./values.ts";

/** Pinning of the virtual CPUs that exist; lists of others are not looked at. */
export function cpuProblems(globals: Globals, topology: Topology): Problem[] {
  const problems: Problem[] = [];
  for (const [number, { cpuset }] of globals.vcpus) {
    if (cpuset === undefined || number >= topology.cpus) {
      continue;
    }
    const reading = readCpuList(cpuset);
    if ("wrong" in reading) {
      problems.push({ key: `vcpu.${number}.cpuset`, value: cpuset, message: reading.wrong });
    }
  }
  return problems;
}

const domainsMax = 8;

/** NUMA domains from 0 to the first that is missing. */
export function domainProblems(globals: Globals): Problem[] {
  const problems: Problem[] = [];
  const owner = new Map<number, number>();
  for (let number = 0; number < domainsMax; number += 1) {
    const domain = globals.domains.get(number);
    if (!domain) {
      break;
    }
    problems.push(...domainSizeProblems(number, domain.size));
    problems.push(...domainCpuProblems(number, domain.cpus, owner));
  }
  return problems;
}

function domainSizeProblems(number: number, size: string | undefined): Problem[] {
  const reading = size === undefined ? undefined : readSize(size);
  if (size === undefined || !reading || "value" in reading) {
    return [];
  }
  const status = reading.status === undefined ? {} : { status: reading.status };
  return [{ key: `domains.${number}.size`, value: size, message: reading.wrong, ...status }];
}

function domainCpuProblems(
  number: number, cpus: string | undefined, owner: Map<number, number>,
): Problem[] {
  const key = `domains.${number}.cpus`;
  if (cpus === undefined) {
    return [{ key, message: "is required; allowed: a list of virtual CPUs, like 0,2-3" }];
  }
  const reading = readCpuList(cpus);
  if ("wrong" in reading) {
    return [{ key, value: cpus, message: reading.wrong }];
  }
  const problems: Problem[] = [];
  for (const cpu of reading.value) {
    const before = owner.get(cpu);
    if (before !== undefined) {
      problems.push({
        key, value: cpus, message: `virtual CPU ${cpu} is in domain ${before} too; `
          + "allowed: each in one domain",
      });
    }
    owner.set(cpu, number);
  }
  return problems;
}

/** TPM, and buses that the MP table cannot describe. */
export function otherProblems(
  globals: Globals, functions: readonly ConfiguredFunction[],
): Problem[] {
  const problems: Problem[] = [];
  const afar = functions.find(({ at }) => at.bus > 0);
  if (afar && globals.mpTable) {
    problems.push({
      key: afar.node.path, message: "the MP table knows bus 0 only; allowed: bus 0, or "
        + "x86.mptable=false (-Y)",
    });
  }
  const tpm = [globals.tpmType, globals.tpmPath, globals.tpmVersion];
  if (tpm.some((value) => value !== undefined) && tpm.includes(undefined)) {
    problems.push({
      key: "tpm", message: "is incomplete; allowed: tpm.type, tpm.path and tpm.version together",
    });
  }
  return problems;
}

/** Serial lines that no one will see: as bhyve, we look at them only behind an LPC bridge. */
export function lineWarnings(
  globals: Globals, functions: readonly ConfiguredFunction[],
): Problem[] {
  if (functions.some(({ device }) => device === "lpc")) {
    return [];
  }
  const lines = [globals.com1, globals.com2, globals.com3, globals.com4];
  return lines.flatMap((value, index) => value === undefined ? [] : [{
    key: `lpc.com${index + 1}.path`, value,
    message: "has no effect without a PCI function with device=lpc (-s 31,lpc)",
  }]);
}

/** What the machine starts: one source, and files for a kernel only beside one. */
export function bootProblems({ bootRom, kernel, initrd, modules }: Pick<
  Globals, "bootRom" | "kernel" | "initrd" | "modules"
>): Problem[] {
  if (bootRom === undefined && kernel === undefined) {
    return [{
      key: "bootrom", message: "nothing to boot; allowed: a file in bootrom or in boot.kernel",
    }];
  }
  if (bootRom !== undefined && kernel !== undefined) {
    return [{
      key: "boot.kernel", value: kernel, message: "is given beside bootrom; allowed: one of them",
    }];
  }
  const alone: [string, string | undefined][] = [
    ["boot.initrd", initrd], ["boot.modules", modules === "" ? undefined : modules],
  ];
  return alone.filter(([, value]) => kernel === undefined && value !== undefined)
    .map(([key, value]) => ({
      key, value: value ?? "", message: "has no meaning without boot.kernel",
    }));
}
