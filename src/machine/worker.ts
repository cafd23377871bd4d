/** The machine's thread: devices and vCPU; it does not return to its event loop while it runs. */
import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { RingCharBackend } from "../backends/char/channel.ts";
import { defined } from "../base/assert.ts";
import { ConfigError } from "../base/errors.ts";
import { createLog } from "../base/log.ts";
import { WakeWord } from "../fabric/byte-ring.ts";
import { hypervisorNamed } from "../vmm/backends.ts";
import { MachineDisks } from "./block.ts";
import { ControlCells } from "./control-cells.ts";
import type { Ending } from "./driver.ts";
import { gdbKey, openStub } from "./gdb/line.ts";
import { HostClock } from "./host-clock.ts";
import { Machine } from "./machine.ts";
import type { FromWorker, WorkerStart } from "./messages.ts";
import { RunLoop } from "./run-loop.ts";
import { openPlannedShare } from "./share.ts";

async function main(port: MessagePort, start: WorkerStart): Promise<void> {
  const tell = (message: FromWorker) => port.postMessage(message);
  const wake = new WakeWord(start.wake);
  const control = new ControlCells(start.control);
  const lines = new Map([...start.chars].map(
    ([key, parts]) => [key, new RingCharBackend(parts)]));
  const log = createLog((level, message) => tell({ kind: "log", level, message }));
  const disks = new MachineDisks(wake, log);
  const machine = new Machine(start.plan, {
    hypervisor: defined(hypervisorNamed(start.hypervisor), "the hypervisor"),
    clock: new HostClock(),
    entropy: { fill: (target) => { randomFillSync(target); } },
    log,
    wake: () => wake.signal(),
    wallClockMs: () => Date.now(),
    serial: (number) => lines.get(`lpc.com${number}.path`),
    charPort: (key) => lines.get(key),
    openBlock: (planned) => disks.open(planned),
    openShare: openPlannedShare,
  });
  let ending: Ending;
  try {
    await machine.load();
    const stub = openStub(machine, lines.get(gdbKey), start.plan.globals.gdbWait);
    const { kick } = machine.vm.features;
    tell({ kind: "ready", ...(kick && { kick }) });
    await once(port, "message");
    const loop = new RunLoop({
      machine, wake, ...(stub && { debugger: stub }),
      poll: () => {
        control.serve(machine.driver);
        disks.poll();
        stub?.poll();
        for (const line of lines.values()) {
          line.poll();
        }
      },
    });
    ending = loop.run();
  } finally {
    machine.destroy();
  }
  tell({ kind: "ended", ...ending });
}

const port = defined(parentPort ?? undefined, "the port to the control plane");
const start: WorkerStart = workerData;
try {
  await main(port, start);
} catch (error) {
  if (!(error instanceof ConfigError)) {
    throw error;
  }
  const refusal: FromWorker = {
    kind: "refused", problems: error.problems, status: error.status,
  };
  port.postMessage(refusal);
}
port.close();
