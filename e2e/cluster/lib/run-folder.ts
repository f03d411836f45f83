import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processesInCgroup, removeCgroup } from './cgroups.ts';
import { run } from './command.ts';
import { endAll, identityOf, isAlive, type ProcessIdentity, processesUnder } from './process-identity.ts';

/** Everything that outlives the process that made it, written down before it is made. */
interface RunRecord {
  /** Who removes it at its end; absent when it shall stay after that. */
  owner?: ProcessIdentity;
  readonly processes: ProcessIdentity[];
  readonly cgroups: string[];
  /** Commands that undo what was made, run in reverse; one that has nothing to undo may fail. */
  readonly undo: [string, ...string[]][];
}

const emptyRecord = (): RunRecord => ({ processes: [], cgroups: [], undo: [] });

const runsFolder = join(tmpdir(), 'gatesvr-e2e');
const lockFile = join(runsFolder, 'lock');
const recordName = 'run.json';
const endDeadlineMs = 5_000;
/** A folder without a record for so long is one whose maker died at once. */
const newbornMs = 30_000;
const lockWaitMs = 120_000;
const logShown = 1_500;

/** A folder with what one run started, from which all of it can be ended, by this process or by a later one. */
export class RunFolder {
  readonly path: string;
  #record: RunRecord;
  #children = new Map<string, ChildProcess>();
  #onExit = () => this.#killChildren();

  private constructor(path: string, record: RunRecord) {
    this.path = path;
    this.#record = record;
    process.on('exit', this.#onExit);
  }

  /**
   * Removes what dead runs left behind and makes the first folder of these names that is free.
   * @throws Error when none is
   */
  static async claim(names: readonly string[]): Promise<RunFolder> {
    return locked(async () => {
      await removeLeftovers();
      for (const name of names) {
        const path = join(runsFolder, name);
        if (existsSync(path)) continue;
        mkdirSync(path, { mode: 0o755 });
        const owner = identityOf(process.pid);
        const folder = new RunFolder(path, owner === undefined ? emptyRecord() : { ...emptyRecord(), owner });
        folder.#save();
        return folder;
      }
      throw new Error(`${names.length} runs are there already: ${runsFolder}`);
    });
  }

  /** A folder that an earlier process left running on purpose; undefined when there is none. */
  static reopen(name: string): RunFolder | undefined {
    const path = join(runsFolder, name);
    const record = readRecord(path);
    return record === undefined ? undefined : new RunFolder(path, record);
  }

  get name(): string {
    return this.path.slice(runsFolder.length + 1);
  }

  file(...parts: string[]): string {
    return join(this.path, ...parts);
  }

  /** Makes the folders above it too. @returns its path */
  write(name: string, content: string, mode = 0o600): string {
    const path = this.file(name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content, { mode });
    return path;
  }

  /** Starts a program that runs until the end of this run; its output goes to `NAME.log`. */
  start(name: string, command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
    const log = openSync(this.file(`${name}.log`), 'a');
    const child = spawn(command, args, {
      cwd: this.path,
      env: { ...process.env, ...env },
      stdio: ['ignore', log, log],
      // Ctrl-C reaches only us: what we started is ended in order.
      detached: true,
    });
    closeSync(log);
    child.on('error', () => {});
    child.unref();
    this.#children.set(name, child);
    const identity = child.pid === undefined ? undefined : identityOf(child.pid);
    if (identity !== undefined) this.#record.processes.push(identity);
    this.#save();
  }

  /** @throws Error with the end of its log when a program that was started here has ended */
  checkAlive(): void {
    for (const [name, { pid, exitCode, signalCode }] of this.#children) {
      if (pid !== undefined && exitCode === null && signalCode === null) continue;
      const log = readFileSync(this.file(`${name}.log`), 'utf8').slice(-logShown);
      throw new Error(`${name} ended with ${signalCode ?? exitCode ?? 'an error at its start'}:\n${log}`);
    }
  }

  pid(name: string): number | undefined {
    return this.#children.get(name)?.pid;
  }

  /** To be called before the group is made. */
  ownsCgroup(name: string): void {
    this.#record.cgroups.push(name);
    this.#save();
  }

  /** To be called before that is made which the command removes. */
  undoWith(...command: [string, ...string[]]): void {
    this.#record.undo.push(command);
    this.#save();
  }

  /** What runs here goes on after this process. */
  keep(): void {
    delete this.#record.owner;
    this.#children.clear();
    this.#save();
  }

  /** Ends and removes everything. */
  async remove(): Promise<void> {
    process.off('exit', this.#onExit);
    this.#children.clear();
    await removeRun(this.path, this.#record);
  }

  #save(): void {
    writeFileSync(join(this.path, recordName), JSON.stringify(this.#record), { mode: 0o600 });
  }

  /** The last resort of a process that ends without `remove`: the next run tidies up the rest. */
  #killChildren(): void {
    for (const child of this.#children.values()) child.kill('SIGKILL');
  }
}

function readRecord(path: string): RunRecord | undefined {
  try {
    return JSON.parse(readFileSync(join(path, recordName), 'utf8')) as RunRecord;
  } catch {
    return undefined;
  }
}

async function removeRun(path: string, record: RunRecord): Promise<void> {
  await endAll([...record.processes].reverse(), endDeadlineMs);
  const rest = [...record.cgroups.flatMap(processesInCgroup), ...processesUnder(path)];
  await endAll(rest, 0);
  for (const mount of mountsUnder(path)) await run('umount', ['--lazy', mount]);
  for (const name of record.cgroups) removeCgroup(name);
  for (const [program, ...args] of [...record.undo].reverse()) await run(program, args).catch(() => {});
  rmSync(path, { recursive: true, force: true });
}

/** Deepest first. */
function mountsUnder(path: string): string[] {
  if (!existsSync('/proc/self/mountinfo')) return [];
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const points = lines.map((line) => line.split(' ')[4] ?? '').filter((point) => point.startsWith(`${path}/`));
  return points.sort((a, b) => b.length - a.length);
}

async function removeLeftovers(): Promise<void> {
  for (const entry of readdirSync(runsFolder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const path = join(runsFolder, entry.name);
    const record = readRecord(path);
    const dead = record === undefined ? isOld(path) : record.owner !== undefined && !isAlive(record.owner);
    if (!dead) continue;
    process.stderr.write(`cluster: removing what an aborted run left in ${path}\n`);
    await removeRun(path, record ?? emptyRecord());
  }
}

function isOld(path: string): boolean {
  return Date.now() - statSync(path).mtimeMs > newbornMs;
}

/** One process at a time claims and tidies up. */
async function locked<T>(action: () => Promise<T>): Promise<T> {
  mkdirSync(runsFolder, { recursive: true });
  await takeLock(lockFile, lockWaitMs);
  try {
    return await action();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

/** Waits for a file that names its living owner to be ours. @throws Error after `waitMs` */
export async function takeLock(path: string, waitMs: number): Promise<void> {
  const untilMs = performance.now() + waitMs;
  for (;;) {
    try {
      writeFileSync(path, JSON.stringify(identityOf(process.pid)), { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (!isHeld(path)) rmSync(path, { force: true });
    else if (performance.now() > untilMs) throw new Error(`another process holds ${path}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function isHeld(path: string): boolean {
  try {
    const text = readFileSync(path, 'utf8');
    // Just made, and not yet written.
    if (text === '') return Date.now() - statSync(path).mtimeMs < newbornMs;
    return isAlive(JSON.parse(text) as ProcessIdentity);
  } catch {
    return false;
  }
}
