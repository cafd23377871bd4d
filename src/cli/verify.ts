/** Everything that can be known of a configuration before a machine is built from it. */
import { ConfigError, describeProblem, exitStatus } from "../base/errors.ts";
import type { Problem } from "../base/errors.ts";
import { check } from "../config/configuration.ts";
import type { Configuration } from "../config/configuration.ts";
import { deviceSchemas } from "../machine/registry.ts";
import { program } from "./command-line.ts";
import type { MachineRequest } from "./command-line.ts";
import { hostProblems, planProblems } from "./host-checks.ts";

/** The checked configuration, files included; throws one ConfigError with all problems. */
export function verify(request: MachineRequest, say: (line: string) => void): Configuration {
  const verdict = check(request.tree, deviceSchemas);
  const warnings = verdict.ok ? verdict.value.warnings : verdict.warnings;
  for (const warning of warnings) {
    say(`${program}: warning: ${describeProblem(warning)}`);
  }
  const problems = [
    ...(verdict.ok ? planProblems(verdict.value) : verdict.problems),
    ...request.incomplete.map(incompletePort),
    ...hostProblems(request.tree, deviceSchemas),
  ];
  if (!verdict.ok || problems.length > 0) {
    throw new ConfigError(problems, problems[0]?.status ?? exitStatus.error);
  }
  return verdict.value;
}

function incompletePort(name: string): Problem {
  return {
    key: `lpc.${name.toLowerCase()}.path`,
    message: `-l ${name} names no host side; allowed: -l ${name},stdio and other paths`,
  };
}
