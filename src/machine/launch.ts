/**
 * The control plane's side of a machine: starts its thread, moves the bytes of serial lines,
 * passes signals on, and tells how it ended. It is never on a guest's path.
 */
import { Worker } from "node:worker_threads";
import { createCharChannel, type CharChannel } from "../backends/char/channel.ts";
import { openCharEndpoint, type CharEndpoint } from "../backends/char/endpoint.ts";
import { conflictingTargets, parseCharTarget, parseSocketTarget, type CharUse,
} from "../backends/char/target.ts";
import { ConfigError, HostError, exitStatus, type Problem } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { WakeWord } from "../fabric/byte-ring.ts";
import { nativeAddon } from "../host/native.ts";
import { kickVcpu, type Kick } from "../vmm/kick.ts";
import { ControlCells } from "./control-cells.ts";
import type { Ending } from "./driver.ts";
import type { FromWorker, ToWorker, WorkerStart } from "./messages.ts";
import { gdbKey, gdbTarget } from "./gdb/line.ts";
import type { MachinePlan } from "./plan.ts";
import { devices } from "./registry.ts";

/** Compiling guest code makes much garbage that dies young; room for it saves collections. */
const youngGenerationMiB = 64;

/** A machine that was asked to end answers within a slice; one that hangs is ended from here. */
const endPatienceMs = 2000;
/** A status of a process that a signal ended, as shells show it. */
const signalStatus = { SIGINT: 130, SIGTERM: 143 } as const;
type EndingSignal = keyof typeof signalStatus;
const endingSignals: readonly EndingSignal[] = ["SIGINT", "SIGTERM"];

export interface LaunchOptions {
  /** Name of the back end; its probe has run. */
  readonly hypervisor: string;
  readonly log: Log;
  /** Called once all is open and before the guest's first instruction. */
  readonly onStart: (lines: readonly OpenLine[]) => void;
}

/** A serial line that is open, for announcements. */
export interface OpenLine {
  readonly key: string;
  readonly announcement: string | undefined;
  readonly usesStdio: boolean;
}

/** The byte channels of the plan; throws one ConfigError with all that is wrong. */
function charUses({ globals, functions }: MachinePlan): readonly CharUse[] {
  // Without the bridge there is no serial port: as bhyve, we pass over its keys.
  const hasLpc = functions.some(({ device }) => device === "lpc");
  const wanted = [
    ...[globals.com1, globals.com2, globals.com3, globals.com4].map((path, index) => ({
      key: `lpc.com${index + 1}.path`, path, used: hasLpc, parse: parseCharTarget,
    })),
    ...functions.filter(({ device }) => devices.get(device)?.backend === "char")
      .flatMap(({ key, values }) => Object.entries(values)
        .filter(([name]) => /^port\.[0-9]+\.path$/.test(name))
        .map(([name, path]) => ({
          key: `${key}.${name}`, path, used: true, parse: parseSocketTarget,
        }))),
  ];
  const { gdbPort, gdbAddress } = globals;
  wanted.push({
    key: gdbKey, path: gdbPort === undefined ? undefined : gdbTarget(gdbAddress, gdbPort),
    used: true, parse: parseCharTarget,
  });
  const uses: CharUse[] = [];
  const problems: Problem[] = [];
  for (const { key, path, used, parse } of wanted) {
    try {
      const target = path === undefined ? undefined : parse(key, path);
      if (target !== undefined && used) {
        uses.push({ key, target });
      }
    } catch (error) {
      problems.push(...problemsOf(error));
    }
  }
  problems.push(...conflictingTargets(uses));
  if (problems.length > 0) {
    throw new ConfigError(problems);
  }
  return uses;
}

function problemsOf(error: unknown): readonly Problem[] {
  if (error instanceof ConfigError) {
    return error.problems;
  }
  throw error;
}

interface Line {
  readonly use: CharUse;
  readonly channel: CharChannel;
}

/** Runs a machine from start to end. Throws ConfigError before the guest's first instruction. */
export async function launch(plan: MachinePlan, options: LaunchOptions): Promise<Ending> {
  const wake = new WakeWord();
  const control = new ControlCells();
  const lines = charUses(plan).map((use) => ({ use, channel: createCharChannel(wake) }));
  const thread = new MachineThread({
    plan, hypervisor: options.hypervisor, wake: wake.shared, control: control.shared,
    chars: new Map(lines.map(({ use, channel }) => [use.key, channel.parts])),
  }, options.log, wake);
  const endpoints: CharEndpoint[] = [];
  const askEnd = (status: number): void => {
    control.askEnd(status);
    wake.signal();
    thread.endSoon(status);
  };
  const signals = watchSignals((signal, again) => {
    if (again) {
      askEnd(signalStatus[signal]);
    } else {
      control.askPowerButton(signalStatus[signal]);
      wake.signal();
    }
  });
  try {
    await thread.ready();
    options.onStart(await openLines(lines, endpoints, () => askEnd(exitStatus.powerOff)));
    thread.go();
    return await thread.ended;
  } finally {
    signals.stop();
    await thread.stop();
    for (const { channel } of lines) {
      channel.toHost.close();
    }
    await Promise.all(endpoints.map((endpoint) => endpoint.finish()));
  }
}

async function openLines(
  lines: readonly Line[], endpoints: CharEndpoint[], onQuit: () => void,
): Promise<readonly OpenLine[]> {
  const open: OpenLine[] = [];
  for (const { use: { key, target }, channel } of lines) {
    const endpoint = await openCharEndpoint({ key, target, channel, onQuit });
    endpoints.push(endpoint);
    open.push({
      key, announcement: endpoint.announcement, usesStdio: target.kind === "stdio",
    });
  }
  return open;
}

function watchSignals(take: (signal: EndingSignal, again: boolean) => void): { stop(): void } {
  let count = 0;
  const listeners = endingSignals.map((signal) => {
    const listener = () => {
      count += 1;
      take(signal, count > 1);
    };
    process.on(signal, listener);
    return { signal, listener };
  });
  return {
    stop: () => {
      for (const { signal, listener } of listeners) {
        process.removeListener(signal, listener);
      }
    },
  };
}

/** The worker and what it says. */
class MachineThread {
  readonly #worker: Worker;
  readonly #log: Log;
  readonly #wake: WakeWord;
  readonly #exited: Promise<void>;
  readonly ended: Promise<Ending>;
  #settle: (ending: Ending) => void = () => {};
  #becameReady: () => void = () => {};
  #refuse: (error: ConfigError) => void = () => {};
  readonly #ready: Promise<void>;
  #patience: NodeJS.Timeout | undefined;

  constructor(start: WorkerStart, log: Log, wake: WakeWord) {
    this.#log = log;
    this.#wake = wake;
    this.#ready = new Promise((resolve, reject) => {
      this.#becameReady = resolve;
      this.#refuse = reject;
    });
    this.ended = new Promise((resolve) => { this.#settle = resolve; });
    this.#worker = new Worker(new URL("./worker.js", import.meta.url), {
      workerData: start, resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMiB },
    });
    this.#worker.on("message", (message: FromWorker) => this.#hear(message));
    this.#worker.on("error", (error: Error) => {
      const report = error instanceof HostError ? error.message : error.stack ?? error.message;
      this.#settle({ status: exitStatus.error, report });
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#settle({ status: exitStatus.error, report: "the machine's thread ended early" });
        resolve();
      });
    });
  }

  /** Resolves when the machine is built; also when it never will be, as `ended` tells. */
  async ready(): Promise<void> {
    await Promise.race([this.#ready, this.ended]);
  }

  go(): void {
    const message: ToWorker = { kind: "go" };
    this.#worker.postMessage(message);
  }

  /** Ends the thread by force unless it does so itself in time. */
  endSoon(status: number): void {
    this.#patience ??= setTimeout(() => {
      this.#settle({ status, report: "the machine did not answer and was ended" });
    }, endPatienceMs);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#patience);
    await this.#worker.terminate();
    await this.#exited;
  }

  /** A vCPU that sleeps in the kernel does not look at the wake word. */
  #prepareKicks(kick: Kick | undefined): void {
    const addon = kick === undefined ? undefined : nativeAddon();
    if (kick !== undefined && addon !== undefined) {
      this.#wake.onSignal = () => kickVcpu(addon, kick);
    }
  }

  #hear(message: FromWorker): void {
    switch (message.kind) {
      case "log": this.#log[message.level](message.message); break;
      case "ready": this.#prepareKicks(message.kick); this.#becameReady(); break;
      case "refused": this.#refuse(new ConfigError(message.problems, message.status)); break;
      case "ended":
        this.#settle({
          status: message.status, ...(message.report !== undefined && { report: message.report }),
        });
        break;
    }
  }
}
