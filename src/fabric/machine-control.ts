/** What a chip on the board may ask of the whole machine. Each call only asks: the machine acts
 * once the access that led here is over. */
export interface MachineControl {
  reset(): void;
  powerOff(): void;
  /** Ends the run with this process status (debug exit port). */
  exit(status: number): void;
}
