import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const commandLine = fileURLToPath(new URL('../gatesvr.ts', import.meta.url));
const deadlineMs = 60_000;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One `gatesvr` process of a test. */
export class GatesvrProcess {
  stdout = '';
  stderr = '';
  readonly finished: Promise<Finished>;
  readonly #child: ChildProcess;

  constructor(args: readonly string[], input?: string) {
    this.#child = spawn(process.execPath, [commandLine, ...args], { stdio: 'pipe' });
    this.#child.stdout?.on('data', (data) => {
      this.stdout += data;
    });
    this.#child.stderr?.on('data', (data) => {
      this.stderr += data;
    });
    if (input !== undefined) this.#child.stdin?.end(input);
    this.finished = new Promise((resolve, reject) => {
      this.#child.on('error', reject);
      this.#child.on('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }));
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until its output holds what is sought. */
  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    return eventually(`${pattern} in the output`, () => `${this.stdout}\n${this.stderr}`.match(pattern) ?? undefined);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    this.signal(signal);
    const late = setTimeout(() => this.signal('SIGKILL'), deadlineMs);
    const finished = await this.finished;
    clearTimeout(late);
    return finished;
  }
}

/** Polls until there is a value. @throws Error when there is none within a minute. */
export async function eventually<T>(what: string, get: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const value = await get();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`no ${what} within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Runs one to its end. */
export function gatesvr(...args: string[]): Promise<Finished> {
  return new GatesvrProcess(args, '').finished;
}
