import type { Connection } from './command.ts';
import type { Deadline } from './deadlines.ts';
import type { SessionView } from './session-machine.ts';

/** A run of messages sent at about the same time. */
export interface SentRun {
  from: number;
  readonly upTo: number;
  readonly firstMs: number;
  /** When the last of them was sent: nothing is sent again before this and the ack timeout. */
  readonly lastMs: number;
  readonly attempts: number;
}

/** What was sent on one connection of a session: up to where, when, and how often. */
export class Wire {
  readonly session: SessionView;
  readonly connection: Connection;
  /** The next number to send; everything before it was sent here or acknowledged before. */
  next: number;
  /** Since when the transport buffers more than its high mark; undefined while it is writable. */
  blockedSinceMs: number | undefined;
  /** At most one a connection, at or before the time something is due. */
  deadline: Deadline | undefined;
  /** In the order of their numbers. */
  #runs: SentRun[] = [];

  constructor(session: SessionView, connection: Connection, next: number) {
    this.session = session;
    this.connection = connection;
    this.next = next;
  }

  /** Takes down that `from` to `next - 1` were sent for the first time; what is sent within `stepMs` is one run. */
  noteSent(from: number, nowMs: number, stepMs: number): void {
    const upTo = this.next - 1;
    const last = this.#runs.at(-1);
    if (last !== undefined && last.attempts === 1 && nowMs - last.firstMs < stepMs) {
      this.#runs[this.#runs.length - 1] = { ...last, upTo, lastMs: nowMs };
    } else {
      this.#runs.push({ from, upTo, firstMs: nowMs, lastMs: nowMs, attempts: 1 });
    }
  }

  forgetAcked(): void {
    const { ackUpTo } = this.session.queue;
    let acked = 0;
    while ((this.#runs[acked]?.upTo ?? Number.POSITIVE_INFINITY) <= ackUpTo) acked += 1;
    if (acked > 0) this.#runs.splice(0, acked);
    const first = this.#runs[0];
    if (first !== undefined && first.from <= ackUpTo) first.from = ackUpTo + 1;
  }

  /** The first run sent at or before `ms`, if it is still unacknowledged. */
  runSentBy(ms: number): SentRun | undefined {
    this.forgetAcked();
    return this.#runs.find((run) => run.lastMs <= ms);
  }

  /** Takes down that a run was sent again up to and including `upTo`; the rest of it stays as it was. */
  noteRepeated(run: SentRun, upTo: number, nowMs: number): void {
    const repeated = { from: run.from, upTo, firstMs: nowMs, lastMs: nowMs, attempts: run.attempts + 1 };
    const at = this.#runs.indexOf(run);
    if (upTo === run.upTo) this.#runs.splice(at, 1, repeated);
    else this.#runs.splice(at, 1, repeated, { ...run, from: upTo + 1 });
  }

  /** When the run that waits longest was sent; undefined when nothing waits. */
  get oldestSentMs(): number | undefined {
    let oldest: number | undefined;
    for (const run of this.#runs) if (oldest === undefined || run.lastMs < oldest) oldest = run.lastMs;
    return oldest;
  }
}
