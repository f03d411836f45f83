import { spawn } from 'node:child_process';

/** A program that could not be started or ended with an error; the message has the end of what it said. */
export class CommandError extends Error {
  readonly status: number | undefined;

  constructor(message: string, status: number | undefined, cause?: unknown) {
    super(message, { cause });
    this.name = 'CommandError';
    this.status = status;
  }
}

export interface CommandOptions {
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until it is killed. */
  readonly deadlineMs?: number;
}

/** Longer than anything that a command is told to wait for. */
const defaultDeadlineMs = 240_000;
const shownOfErrors = 2_000;

/** Runs a program to its end. @returns what it wrote to its output. @throws CommandError */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { input, cwd, env, deadlineMs = defaultDeadlineMs } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    const title = `${command} ${args.join(' ')}`.slice(0, 200);
    const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
    let output = '';
    let errors = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk: Buffer) => {
      errors = `${errors}${chunk}`.slice(-shownOfErrors);
    });
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(new CommandError(`${title}: ${error.message}`, undefined, error));
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) resolve(output);
      else reject(new CommandError(`${title}: ended with ${signal ?? status}: ${errors.trim()}`, status ?? undefined));
    });
    // A program that ends early does not read on.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** Whether a program of this name is on the PATH. */
export async function isInstalled(command: string): Promise<boolean> {
  return run('sh', ['-c', `command -v "$1"`, 'sh', command]).then(
    () => true,
    () => false,
  );
}
