/** The two errors a user may see: a wrong configuration, and a host that refuses. */

/** One thing wrong with a configuration. */
export interface Problem {
  /** Full key, for example `pci.0.3.0.path`; a flag or file name where no key is concerned. */
  readonly key: string;
  /** The value given, if there was one. */
  readonly value?: string;
  /** What is wrong and what is allowed. */
  readonly message: string;
  /** Exit status where bhyve's is not 4. */
  readonly status?: number;
}

/** bhyve's statuses for a configuration that cannot run (sysexits.h names, bhyve(8)). */
export const exitStatus = {
  reset: 0,
  powerOff: 1,
  halted: 2,
  tripleFault: 3,
  error: 4,
  usage: 64,
  osError: 71,
} as const;

export function describeProblem(problem: Problem): string {
  const value = problem.value === undefined ? "" : `=${JSON.stringify(problem.value)}`;
  return `${problem.key}${value}: ${problem.message}`;
}

/** The user's configuration is wrong; carries every problem found, not only the first. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];
  /** Status for the process: 4, or bhyve's 64 or 71 where it uses those. */
  readonly status: number;

  constructor(problems: readonly Problem[] | Problem, status: number = exitStatus.error) {
    const list = Array.isArray(problems) ? [...problems] : [problems as Problem];
    super(list.map(describeProblem).join("\n"));
    this.problems = list;
    this.status = status;
  }
}

/** The host refused something (a file, a socket, a system call); `cause` has its error. */
export class HostError extends Error {
  override readonly name = "HostError";

  constructor(what: string, cause: unknown) {
    super(`${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
