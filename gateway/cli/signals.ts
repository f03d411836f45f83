/** Calls `stop` on the first SIGTERM or SIGINT; a second one ends the process at once. @returns stops listening. */
export function onStopSignal(stop: (signal: string) => void): () => void {
  let stopping = false;
  const listener = (signal: string): void => {
    if (stopping) process.exit(1);
    stopping = true;
    stop(signal);
  };
  process.on('SIGTERM', listener);
  process.on('SIGINT', listener);
  return () => {
    process.off('SIGTERM', listener);
    process.off('SIGINT', listener);
  };
}
