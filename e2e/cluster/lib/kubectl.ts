import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Cluster } from '../cluster.ts';
import { type CommandOptions, run } from './command.ts';

/** One namespace of a cluster, through kubectl. Every method throws CommandError with kubectl's words. */
export class Namespace {
  readonly cluster: Cluster;
  readonly name: string;

  constructor(cluster: Cluster, name: string) {
    this.cluster = cluster;
    this.name = name;
  }

  /** @returns what it printed */
  async kubectl(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    const [program, ...first] = this.cluster.kubectl;
    return run(program, [...first, `--namespace=${this.name}`, ...args], options);
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
  }

  async get<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl(['get', ...args, '-o', 'json'])) as T;
  }

  async exec(pod: string, ...command: readonly string[]): Promise<string> {
    return this.kubectl(['exec', pod, '--', ...command]);
  }

  /** The command line of the image's program, in a pod that has it. */
  async gatesvr(pod: string, ...args: readonly string[]): Promise<string> {
    return this.exec(pod, 'node', '/app/dist/gateway/cli/gatesvr.js', ...args);
  }
}

/** A command in a pod that goes on, and the lines it has written. */
export class PodCommand {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(namespace: Namespace, pod: string, command: readonly string[]) {
    const [program, ...first] = namespace.cluster.kubectl;
    const args = [...first, `--namespace=${namespace.name}`, 'exec', pod, '--', ...command];
    this.#child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.lines.push(line));
    }
    this.#ended = new Promise((resolve) => {
      this.#child.on('error', () => resolve());
      this.#child.on('close', () => resolve());
    });
  }

  /** Waits until a line contains this text. @throws Error with all lines */
  async says(text: string, deadlineMs: number): Promise<void> {
    const untilMs = performance.now() + deadlineMs;
    while (!this.lines.some((line) => line.includes(text))) {
      if (performance.now() > untilMs)
        throw new Error(`not said within ${deadlineMs} ms: ${text}\n${this.lines.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
