import type { PushLevelName } from '../../gateway/zone-server/zone-server.ts';

/** What a zone was told of a push: a level, that nobody knows, that it was refused; open while it waits. */
export type PushWord = PushLevelName | 'unknown' | 'refused' | 'open';

interface Account {
  /** By the push's number. */
  readonly words: PushWord[];
  /** One list for each session that this user's client had. */
  readonly seen: number[][];
  /** Pushes below this number were sent before the client was told that its session is gone. */
  resetBelow: number;
}

export interface PairVerdict {
  readonly committed: number;
  readonly degraded: number;
  readonly unknown: number;
  readonly refused: number;
  readonly open: number;
  readonly seen: number;
  /** COMMITTED, not seen, and the client was told nothing. */
  readonly lost: number;
  /** The same for COMMITTED_DEGRADED: a standalone pair may, when its links break (README). */
  readonly lostDegraded: number;
  /** Accepted and not seen, and the client was told SESSION_RESET. */
  readonly told: number;
  /** Within one session. */
  readonly repeated: number;
  readonly outOfOrder: number;
  /** Seen in one session and in the next, with SESSION_RESET between them. */
  readonly repeatedAfterReset: number;
}

const accepted = (word: PushWord | undefined) =>
  word !== undefined && word !== 'open' && word !== 'refused' && word !== 'unknown';

/** Compares what zones were told of their pushes with what each client's application saw. Numbers are a user's own, from 0. */
export class PairLedger {
  #accounts = new Map<string, Account>();

  /** @returns the number of the user's next push. */
  open(openid: string): number {
    return this.#account(openid).words.push('open') - 1;
  }

  judged(openid: string, number: number, word: PushWord): void {
    this.#account(openid).words[number] = word;
  }

  seen(openid: string, number: number): void {
    this.#account(openid).seen.at(-1)?.push(number);
  }

  /** The client was told that its session is gone, with all that was under way. */
  reset(openid: string): void {
    const account = this.#account(openid);
    account.resetBelow = account.words.length;
    account.seen.push([]);
  }

  /** Everything accepted was seen, or its client was told that it will not be. */
  get complete(): boolean {
    for (const { words, seen, resetBelow } of this.#accounts.values()) {
      const once = new Set(seen.flat());
      if (words.some((word, number) => number >= resetBelow && accepted(word) && !once.has(number))) return false;
    }
    return true;
  }

  /** What is wrong with whom, for a failure's message. */
  findings(): string[] {
    const findings: string[] = [];
    for (const [openid, { words, seen, resetBelow }] of this.#accounts) {
      const once = new Set(seen.flat());
      for (const [number, word] of words.entries()) {
        if (accepted(word) && !once.has(number)) {
          findings.push(`${openid} ${number}: ${word}, not seen${number < resetBelow ? ', told of a reset' : ''}`);
        }
      }
      for (const session of seen) {
        session.forEach((number, index) => {
          const before = session[index - 1] ?? -1;
          if (number <= before) findings.push(`${openid} ${number}: seen after ${before}`);
        });
      }
    }
    return findings;
  }

  verdict(): PairVerdict {
    const words = { committed: 0, degraded: 0, unknown: 0, refused: 0, open: 0 };
    const verdict = { seen: 0, lost: 0, lostDegraded: 0, told: 0, repeated: 0, outOfOrder: 0, repeatedAfterReset: 0 };
    for (const account of this.#accounts.values()) {
      const all = account.seen.flat();
      const once = new Set(all);
      const repeated = account.seen.reduce((sum, session) => sum + session.length - new Set(session).size, 0);
      verdict.seen += all.length;
      verdict.repeated += repeated;
      verdict.repeatedAfterReset += all.length - once.size - repeated;
      verdict.outOfOrder += account.seen.reduce((sum, session) => sum + turnedRound(session), 0);
      for (const [number, word] of account.words.entries()) {
        words[word === 'committed-degraded' ? 'degraded' : countedAs(word)] += 1;
        if (!accepted(word) || once.has(number)) continue;
        if (number < account.resetBelow) verdict.told += 1;
        else if (word === 'committed-degraded') verdict.lostDegraded += 1;
        else verdict.lost += 1;
      }
    }
    return { ...words, ...verdict };
  }

  #account(openid: string): Account {
    let account = this.#accounts.get(openid);
    if (account === undefined) {
      account = { words: [], seen: [[]], resetBelow: 0 };
      this.#accounts.set(openid, account);
    }
    return account;
  }
}

/** A level above COMMITTED is COMMITTED too; QUEUED is no answer of a pair. */
function countedAs(word: PushWord): 'committed' | 'unknown' | 'refused' | 'open' {
  return word === 'unknown' || word === 'refused' || word === 'open' ? word : 'committed';
}

function turnedRound(session: readonly number[]): number {
  return [...new Set(session)].filter((number, index, all) => number < (all[index - 1] ?? -1)).length;
}
