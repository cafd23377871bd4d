/**
 * The one queue through which everything goes that changes the state of a machine as a whole.
 * Chips, the run loop and the control plane only ask; the run loop serves the queue between time
 * slices, when no access of the guest is under way. Endings have bhyve's process statuses.
 */
import { assert, unreachable } from "../base/assert.ts";
import { exitStatus } from "../base/errors.ts";
import type { MachineControl } from "../fabric/machine-control.ts";

export type MachineRequest =
  | { readonly kind: "reset" | "powerOff" | "halt" | "tripleFault" }
  /** Debug exit port, and ways out that a person has. */
  | { readonly kind: "exit"; readonly status: number }
  /** `ifDeaf` is the status of the end when no ACPI driver listens to the button. */
  | { readonly kind: "powerButton"; readonly ifDeaf: number }
  /** The machine cannot go on; `report` says why, for a person. */
  | { readonly kind: "failure"; readonly report: string };

export interface Ending {
  readonly status: number;
  /** Only where the status does not say enough. */
  readonly report?: string;
}

export interface DrivenMachine {
  /** Ends the time slice that runs. */
  interruptSlice(): void;
  /** False when the guest's ACPI driver is not in charge. */
  pressPowerButton(): boolean;
}

export class Driver implements MachineControl {
  readonly #machine: DrivenMachine;
  #queue: MachineRequest[] = [];
  #ending: Ending | undefined;

  constructor(machine: DrivenMachine) {
    this.#machine = machine;
  }

  /** Set once and for all when the machine has come to its end. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  get hasWork(): boolean {
    return this.#queue.length > 0;
  }

  ask(request: MachineRequest): void {
    // A guest may write to a reset port in a loop until its slice is over: one request is enough.
    if (!this.#queue.some(({ kind }) => kind === request.kind)) {
      this.#queue.push(request);
    }
    this.#machine.interruptSlice();
  }

  reset(): void {
    this.ask({ kind: "reset" });
  }

  powerOff(): void {
    this.ask({ kind: "powerOff" });
  }

  exit(status: number): void {
    this.ask({ kind: "exit", status });
  }

  /** Serves what was asked, in order, up to the end of the machine. */
  serve(): void {
    const requests = this.#queue;
    this.#queue = [];
    for (const request of requests) {
      if (this.#ending === undefined) {
        this.#ending = this.#serveOne(request);
      }
    }
  }

  #serveOne(request: MachineRequest): Ending | undefined {
    switch (request.kind) {
      // As bhyve's, a machine ends at a reset: who started it starts it again if it shall go on.
      case "reset": return { status: exitStatus.reset };
      case "powerOff": return { status: exitStatus.powerOff };
      case "halt": return { status: exitStatus.halted };
      case "tripleFault": return { status: exitStatus.tripleFault };
      case "exit":
        assert(request.status >= 0 && request.status <= 255, "a process status has eight bits");
        return { status: request.status };
      case "powerButton":
        return this.#machine.pressPowerButton() ? undefined : { status: request.ifDeaf };
      case "failure": return { status: exitStatus.error, report: request.report };
      default: return unreachable(request);
    }
  }
}
