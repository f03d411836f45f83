import { skipBody } from '../../session/ordered-queue.ts';

/** An invariant of design §5 that did not hold. */
export class ViolationError extends Error {
  override readonly name = 'ViolationError';
  readonly invariant: string;

  constructor(invariant: string, detail: string) {
    super(`${invariant}: ${detail}`);
    this.invariant = invariant;
  }
}

export function check(holds: boolean, invariant: string, detail: () => string): asserts holds {
  if (!holds) throw new ViolationError(invariant, detail());
}

/** What a message is, whatever session and number it gets. */
export interface Content {
  readonly id: number;
  readonly kind: 'response' | 'push' | 'broadcast';
  /** Of a response or a bound push. */
  readonly clientSeq: number;
  readonly order: 'immediate' | 'before' | 'after';
  readonly expires: boolean;
  readonly sessionId: string;
}

/** The content of a skip. */
export const skipContent = 0;

/**
 * Everything that was promised and everything that was seen, kept outside of the code under test: which message is which
 * number of which session, what was committed, what each client's application got.
 */
export class Ledger {
  readonly contents: Content[] = [];
  /** First message sent under each number, by session. */
  #sent = new Map<string, Map<number, number>>();
  #seqOf = new Map<string, Map<number, number>>();
  #responses = new Map<string, number>();
  #served = new Map<string, number>();
  #appliedAt = new Map<number, number>();
  #confirmed = new Map<string, number>();
  /** Bound pushes and the responses they must stand next to. */
  readonly neighbours: { push: number; response: number; sessionId: string }[] = [];
  /** Committed pushes: content and session. */
  readonly promised: { content: number; sessionId: string }[] = [];

  add(content: Omit<Content, 'id'>): number {
    const id = this.contents.length + 1;
    this.contents.push({ id, ...content });
    return id;
  }

  /** A zone answers a request that comes twice with the same response. */
  responseTo(sessionId: string, clientSeq: number): number {
    const key = `${sessionId} ${clientSeq}`;
    let id = this.#responses.get(key);
    if (id === undefined) {
      id = this.add({ kind: 'response', clientSeq, order: 'immediate', expires: false, sessionId });
      this.#responses.set(key, id);
    }
    return id;
  }

  content(id: number): Content {
    const content = this.contents[id - 1];
    check(content !== undefined, 'I5', () => `no such message ${id}`);
    return content;
  }

  /** The gateway puts a message on the wire (I5, I6: one message a number, one number a message, in every epoch). */
  sent(sessionId: string, seqId: number, content: number): void {
    const bySeq = getOrMake(this.#sent, sessionId);
    const byContent = getOrMake(this.#seqOf, sessionId);
    if (content === skipContent) {
      const was = bySeq.get(seqId);
      check(was === undefined || was === skipContent || this.content(was).expires, 'I5', () => {
        return `${sessionId} ${seqId}: message ${was} has no ttl and became a skip`;
      });
      if (was === undefined) bySeq.set(seqId, skipContent);
      return;
    }
    const was = bySeq.get(seqId);
    check(was === undefined || was === content, 'I5', () => `${sessionId} ${seqId} was ${was}, is ${content}`);
    bySeq.set(seqId, content);
    const other = byContent.get(content);
    check(other === undefined || other === seqId, 'I9', () => {
      return `message ${content} is ${other} and ${seqId} of ${sessionId}`;
    });
    byContent.set(content, seqId);
    const { sessionId: owner } = this.content(content);
    check(owner === '' || owner === sessionId, 'I5', () => `message ${content} of ${owner} was sent to ${sessionId}`);
  }

  /** I8: once a newer binding was served, an older one never is again. */
  served(sessionId: string, binding: number): void {
    const newest = this.#served.get(sessionId) ?? 0;
    check(binding >= newest, 'I8', () => `binding ${binding} of ${sessionId} was served after ${newest}`);
    this.#served.set(sessionId, binding);
  }

  /** The client of this binding was heard: tokens of older bindings are void from now on. */
  confirmed(sessionId: string, binding: number): void {
    if (binding > (this.#confirmed.get(sessionId) ?? 0)) this.#confirmed.set(sessionId, binding);
  }

  isVoid(sessionId: string, binding: number): boolean {
    return binding < (this.#confirmed.get(sessionId) ?? 0);
  }

  /** The state took a message in with this command. */
  applied(content: number, index: number): void {
    this.#appliedAt.set(content, index);
  }

  /** The command that made a message; 0 when it is not known. */
  appliedAt(content: number): number {
    return this.#appliedAt.get(content) ?? 0;
  }

  /** Which message was put on the wire under which number. */
  messages(sessionId: string): ReadonlyMap<number, number> {
    return getOrMake(this.#sent, sessionId);
  }

  /** Under which number a message was put on the wire. */
  seqIds(sessionId: string): ReadonlyMap<number, number> {
    return getOrMake(this.#seqOf, sessionId);
  }
}

function getOrMake(map: Map<string, Map<number, number>>, key: string): Map<number, number> {
  let inner = map.get(key);
  if (inner === undefined) {
    inner = new Map();
    map.set(key, inner);
  }
  return inner;
}

/** A body that carries the number of its content, and padding. */
export function bodyOf(content: number, padding: number): Uint8Array {
  const body = new Uint8Array(8 + padding);
  new DataView(body.buffer).setUint32(0, content);
  return body;
}

export function contentOf(body: Uint8Array): number {
  if (body.length === skipBody.length && body[0] === skipBody[0] && body[1] === skipBody[1]) return skipContent;
  return new DataView(body.buffer, body.byteOffset).getUint32(0);
}
