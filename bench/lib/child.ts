import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const outputCharactersMax = 65_536;
const stopDeadlineMs = 10_000;

/** A program that ended badly, or did not say in time what it should. */
export class ChildError extends Error {
  override readonly name = 'ChildError';
}

export type ChildEvent = Readonly<Record<string, unknown>>;

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Its standard input stays open for `writeLine`. */
  readonly interactive?: boolean;
}

/** A started program: its output is collected, and lines of JSON on its standard output are events. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<number | undefined>;
  readonly #events: ChildEvent[] = [];
  #wake: () => void = () => {};
  #exited = false;
  #output = '';

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#process = child;
    child.stderr?.on('data', (data: Buffer) => this.#keep(data.toString()));
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => this.#takeLine(line));
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => this.#keep(`${error.message}\n`));
      child.once('close', (code) => {
        this.#exited = true;
        this.#wake();
        resolve(code ?? undefined);
      });
    });
  }

  /** @throws ChildError when the program cannot be started. */
  static async start(command: string, args: readonly string[], options: ChildOptions = {}): Promise<Child> {
    const child = new Child(
      [command, ...args].join(' '),
      spawn(command, args, {
        stdio: [options.interactive === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...(options.env === undefined ? {} : { env: options.env }),
      }),
    );
    if (child.#process.pid === undefined) {
      await child.#ended;
      throw new ChildError(`${child.name}: ${child.output.trim()}`);
    }
    return child;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** The last of what it wrote, standard output and error together. */
  get output(): string {
    return this.#output;
  }

  get exited(): boolean {
    return this.#exited;
  }

  /** @returns the exit code once the program has ended, undefined when a signal ended it. */
  get ended(): Promise<number | undefined> {
    return this.#ended;
  }

  writeLine(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  /**
   * Waits for the next event of this name; events before it are dropped.
   * @throws ChildError when the program ends first or the deadline passes.
   */
  async event(name: string, deadlineMs: number): Promise<ChildEvent> {
    const late = AbortSignal.timeout(deadlineMs);
    late.addEventListener('abort', () => this.#wake());
    for (;;) {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        if (next['event'] === name) return next;
      }
      if (this.#exited) throw new ChildError(`${this.name} ended before "${name}":\n${this.#output}`);
      if (late.aborted) throw new ChildError(`${this.name}: no "${name}" within ${deadlineMs} ms:\n${this.#output}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** SIGTERM, and SIGKILL when that does not end it in time. */
  async stop(): Promise<void> {
    if (this.#exited) return;
    this.#process.kill('SIGTERM');
    const kill = setTimeout(() => this.#process.kill('SIGKILL'), stopDeadlineMs);
    await this.#ended;
    clearTimeout(kill);
  }

  #takeLine(line: string): void {
    this.#keep(`${line}\n`);
    if (!line.startsWith('{"')) return;
    try {
      this.#events.push(JSON.parse(line));
    } catch {
      return;
    }
    this.#wake();
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-outputCharactersMax);
  }
}

/** Runs a program to its end. @throws ChildError with its output unless it exits with 0. */
export async function runChild(command: string, args: readonly string[], options: ChildOptions = {}): Promise<Child> {
  const child = await Child.start(command, args, options);
  const code = await child.ended;
  if (code !== 0) throw new ChildError(`${child.name} ended with ${code ?? 'a signal'}:\n${child.output}`);
  return child;
}
