import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

interface Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly exited: Promise<void>;
}

/** Child processes that run together: when one ends on its own, that is an error. */
export class Children {
  /** Rejects when a child ended that nobody stopped; never resolves. */
  readonly ended: Promise<never>;
  #program: string;
  #stopDeadlineMs: number;
  #children: Child[] = [];
  #stopping = false;
  #fail: (error: Error) => void = () => {};

  /** @param stopDeadlineMs how long a child may take to end before it is killed */
  constructor(program: string, stopDeadlineMs: number) {
    this.#program = program;
    this.#stopDeadlineMs = stopDeadlineMs;
    this.ended = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.ended.catch(() => {});
  }

  /** Starts the program; every line it writes is shown with its name in front. */
  start(name: string, args: readonly string[]): void {
    // A process group of its own, so that Ctrl-C reaches only us and each child is stopped once, in order.
    const child = spawn(process.execPath, [this.#program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => process.stdout.write(`${name} | ${line}\n`));
    }
    const exited = new Promise<void>((resolve) => {
      child.on('exit', (code, signal) => {
        if (!this.#stopping) this.#fail(new Error(`${name} ended with ${signal ?? code}`));
        resolve();
      });
    });
    this.#children.push({ name, process: child, exited });
  }

  /** Waits; rejects at once when a child ends meanwhile. */
  async aliveFor(ms: number): Promise<void> {
    await Promise.race([this.ended, new Promise((resolve) => setTimeout(resolve, ms))]);
  }

  /** Stops the first child, then all others together, each by its id. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const [first, ...rest] = this.#children;
    if (first !== undefined) await this.#stopOne(first);
    await Promise.all(rest.map((child) => this.#stopOne(child)));
  }

  async #stopOne({ name, process: child, exited }: Child): Promise<void> {
    child.kill('SIGTERM');
    const kill = setTimeout(() => {
      process.stdout.write(`${name} did not end in time and is killed\n`);
      child.kill('SIGKILL');
    }, this.#stopDeadlineMs);
    await exited;
    clearTimeout(kill);
  }
}
