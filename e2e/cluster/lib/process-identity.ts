import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** A process, told apart from a later one that was given the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot (proc_pid_stat(5), field 22). */
  readonly startTime: string;
}

/** @returns undefined when there is no such process */
export function identityOf(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before it, in parentheses, may contain anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : { pid, startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identityOf(identity.pid)?.startTime === identity.startTime;
}

/** Sends a signal unless the process is gone, or its number is another's by now. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Sends SIGTERM, and SIGKILL to what is left after `deadlineMs`; resolves when all are gone. */
export async function endAll(identities: readonly ProcessIdentity[], deadlineMs: number): Promise<void> {
  for (const identity of identities) signal(identity, 'SIGTERM');
  const untilMs = performance.now() + deadlineMs;
  while (identities.some(isAlive)) {
    if (performance.now() > untilMs) for (const identity of identities) signal(identity, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Processes with this path in their command line or as their folder: those that a killed parent left behind. */
export function processesUnder(folder: string): ProcessIdentity[] {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => commandLine(name).includes(`${folder}/`))
    .map((name) => identityOf(Number(name)))
    .filter((identity) => identity !== undefined);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
