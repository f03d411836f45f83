import { type BroadcastPushResponse, PushStatus, type UnicastPushResponse } from '../../../proto/gen/upstream.ts';
import type { Command } from '../../session/command.ts';
import type { Outcome } from '../../session/effect.ts';
import { check } from '../sessions/ledger.ts';

/** What was asked, what was answered, and what really happened at which pair. */
export class FleetLedger {
  /** Pairs at which a push was placed, by its id. */
  #placed = new Map<string, string[]>();
  #answers = new Map<string, number>();
  accepted = 0;
  refused = 0;
  unknown = 0;

  applied(pairId: string, command: Command, outcome: Outcome): void {
    if (command.kind !== 'push' && command.kind !== 'broadcast') return;
    if (outcome.kind !== command.kind || outcome.status !== 'ok' || outcome.repeated) return;
    const pushId = Buffer.from(command.body).toString('latin1').split('|')[1] ?? '';
    const at = this.#placed.get(pushId) ?? [];
    at.push(pairId);
    this.#placed.set(pushId, at);
    if (command.kind === 'push') check(at.length === 1, 'once', () => `push ${pushId} was placed at ${at.join(', ')}`);
    else
      check(new Set(at).size === at.length, 'once', () => `broadcast ${pushId} came twice to one of ${at.join(', ')}`);
  }

  asked(pushId: string): void {
    this.#answers.set(pushId, 0);
  }

  answeredPush(pushId: string, { status }: UnicastPushResponse, waitedMs: number): void {
    this.#answered(pushId, waitedMs);
    const placed = this.#placed.has(pushId);
    if (status === PushStatus.PUSH_STATUS_OK) {
      this.accepted += 1;
      check(placed, 'promise', () => `push ${pushId} was accepted and is nowhere`);
    } else if (status === PushStatus.PUSH_STATUS_UNKNOWN) this.unknown += 1;
    else {
      this.refused += 1;
      check(
        !placed,
        'promise',
        () => `push ${pushId} was refused with ${status} and is at ${this.#placed.get(pushId)}`,
      );
    }
  }

  answeredBroadcast(pushId: string, { status, pairs }: BroadcastPushResponse, waitedMs: number): void {
    this.#answered(pushId, waitedMs);
    const placed = this.#placed.get(pushId) ?? [];
    const named = new Set(pairs.map(({ pairId }) => pairId));
    check(named.size === pairs.length, 'broadcast', () => `${pushId}: a pair is named twice`);
    if (status === PushStatus.PUSH_STATUS_OK) this.accepted += 1;
    for (const { pairId, status: said } of pairs) {
      if (said === PushStatus.PUSH_STATUS_UNKNOWN) continue;
      check(placed.includes(pairId) === (said === PushStatus.PUSH_STATUS_OK), 'broadcast', () => {
        return `${pushId}: pair ${pairId} is said to be ${said}, it was taken by ${placed.join(', ')}`;
      });
    }
  }

  /** Nothing that was asked is without an answer. */
  checkAnswered(): void {
    for (const [pushId, answers] of this.#answers)
      check(answers === 1, 'answer', () => `${pushId} has ${answers} answers`);
  }

  #answered(pushId: string, waitedMs: number): void {
    const answers = (this.#answers.get(pushId) ?? 0) + 1;
    this.#answers.set(pushId, answers);
    check(answers === 1, 'answer', () => `${pushId} was answered ${answers} times`);
    // Each pair that may have the session has its own deadline.
    check(waitedMs <= 12_000, 'deadline', () => `${pushId} was answered after ${waitedMs} ms`);
  }
}
