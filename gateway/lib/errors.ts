/** Turns anything thrown into one line fit for a log or a terminal. */
export function errorMessage(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** A wrong flag, variable, file or argument: the process says so in one line and ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
