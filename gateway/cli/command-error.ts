/** Interface, "Command line". */
export const exitCodes = { ok: 0, failure: 1, usage: 2, cannotConnect: 3, refused: 4 } as const;

/** Ends a subcommand with one line on stderr and this exit code. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
