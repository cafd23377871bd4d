/**
 * What must be undone when the process ends: terminals put back, sockets and locks removed.
 * Runs at every ordinary end, after an uncaught error, and at the signals that end a process.
 */
type Undo = () => void;

const undos = new Set<Undo>();
let watching = false;

/** Signals whose default is to end the process, and that a person or a session sends. */
const endingSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

function undoAll(): void {
  for (const undo of [...undos].toReversed()) {
    undos.delete(undo);
    try {
      undo();
    } catch {
      // One that fails must not keep the others from running, and nobody is left to tell.
    }
  }
}

function endBy(signal: NodeJS.Signals): void {
  // Somebody else listens too, so the signal has a meaning of its own: theirs.
  if (process.listenerCount(signal) > 1) {
    return;
  }
  undoAll();
  process.removeListener(signal, endBy);
  process.kill(process.pid, signal); // The caller shall see what ended us.
}

function watch(): void {
  if (!watching) {
    watching = true;
    process.once("exit", undoAll);
    for (const signal of endingSignals) {
      process.on(signal, endBy);
    }
  }
}

/** Runs `undo` when the process ends, last registered first. Returns what does it earlier. */
export function atProcessEnd(undo: Undo): Undo {
  watch();
  undos.add(undo);
  return () => {
    if (undos.delete(undo)) {
      undo();
    }
  };
}
