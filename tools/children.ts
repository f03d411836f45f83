import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

interface Child {
  readonly name: string;
  readonly process: ChildProcess;
  readonly exited: Promise<void>;
}

export interface ChildOptions {
  /** Started again when it ends on its own, unless it had hardly begun. */
  readonly restart?: boolean;
}

const restartMs = 1_000;
/** A child that ends sooner than this has something wrong with it. */
const settledMs = 3_000;

/** Child processes that run together: when one ends on its own, that is an error, unless it is to be started again. */
export class Children {
  /** Rejects when a child ended that nobody stopped; never resolves. */
  readonly ended: Promise<never>;
  #program: string;
  #stopDeadlineMs: number;
  #children: Child[] = [];
  #stopping = false;
  #restarts = new Set<NodeJS.Timeout>();
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
  start(name: string, args: readonly string[], options: ChildOptions = {}): void {
    const startedMs = performance.now();
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
        resolve();
        if (this.#stopping) return;
        if (options.restart === true && performance.now() - startedMs >= settledMs) {
          process.stdout.write(`${name} ended with ${signal ?? code} and is started again\n`);
          this.#children = this.#children.filter((other) => other.process !== child);
          this.#restarts.add(setTimeout(() => this.start(name, args, options), restartMs));
        } else this.#fail(new Error(`${name} ended with ${signal ?? code}`));
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
    for (const timer of this.#restarts) clearTimeout(timer);
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
