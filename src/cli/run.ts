/** Runs the machine that a command line describes, and tells a person what concerns them. */
import { ConfigError } from "../base/errors.ts";
import { createLog } from "../base/log.ts";
import type { Configuration } from "../config/configuration.ts";
import { escapeKeysHelp } from "../backends/char/escape.ts";
import { launch, type OpenLine } from "../machine/launch.ts";
import { planMachine } from "../machine/plan.ts";
import { hypervisorFor } from "./backend.ts";
import { program, type MachineRequest } from "./command-line.ts";

function say(message: string): void {
  // A terminal in raw mode does not return the carriage by itself.
  process.stderr.write(message.split("\n").map((line) => `${program}: ${line}\r\n`).join(""));
}

function announce(lines: readonly OpenLine[]): void {
  for (const { key, announcement, usesStdio } of lines) {
    if (announcement !== undefined) {
      say(`${key}: ${announcement}`);
    }
    if (usesStdio && process.stdin.isTTY) {
      say(`to leave: ${escapeKeysHelp}`);
    }
  }
}

/** Returns the status for the process; throws ConfigError and HostError. Whatever happens, the
 * terminal is as it was before. */
export async function runMachine(
  request: MachineRequest, configuration: Configuration,
): Promise<number> {
  const log = createLog((level, message) => {
    if (level !== "debug") {
      say(message);
    }
  });
  if (request.incomplete.length > 0) {
    throw new ConfigError(request.incomplete.map((port) => ({
      key: `lpc.${port}.path`, message: "is required with -l",
    })));
  }
  const hypervisor = hypervisorFor(configuration);
  const plan = planMachine(configuration, hypervisor, request.firmwareFiles);
  const { status, report } = await launch(plan, {
    hypervisor: hypervisor.name, log, onStart: announce,
  });
  if (report !== undefined) {
    say(report);
  }
  return status;
}
