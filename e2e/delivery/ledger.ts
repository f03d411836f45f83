/** What zones were told and what clients saw, for one user. */
interface Account {
  readonly accepted: string[];
  readonly seen: string[];
}

export interface LedgerVerdict {
  readonly accepted: number;
  readonly seen: number;
  readonly lost: number;
  readonly repeated: number;
  readonly outOfOrder: number;
}

/** Compares pushes that a gateway accepted with what each client saw, in order. */
export class Ledger {
  #accounts = new Map<string, Account>();

  /** A zone was told that the gateway has this push; in the order of the session's numbers. */
  accepted(openid: string, text: string): void {
    this.#account(openid).accepted.push(text);
  }

  /** A client's application was handed this push. */
  seen(openid: string, text: string): void {
    this.#account(openid).seen.push(text);
  }

  get complete(): boolean {
    for (const { accepted, seen } of this.#accounts.values()) if (seen.length < accepted.length) return false;
    return true;
  }

  verdict(): LedgerVerdict {
    const verdict = { accepted: 0, seen: 0, lost: 0, repeated: 0, outOfOrder: 0 };
    for (const { accepted, seen } of this.#accounts.values()) {
      const seenOnce = new Set(seen);
      verdict.accepted += accepted.length;
      verdict.seen += seen.length;
      verdict.lost += accepted.filter((text) => !seenOnce.has(text)).length;
      verdict.repeated += seen.length - seenOnce.size;
      const expected = accepted.filter((text) => seenOnce.has(text));
      verdict.outOfOrder += [...seenOnce].filter((text, index) => text !== expected[index]).length;
    }
    return verdict;
  }

  #account(openid: string): Account {
    let account = this.#accounts.get(openid);
    if (account === undefined) {
      account = { accepted: [], seen: [] };
      this.#accounts.set(openid, account);
    }
    return account;
  }
}
