import type { Connection } from './bindings.ts';

/** For what is queued to be acknowledged before a close. */
export const flushMs = 1000;

/**
 * Finds out when the peer has acknowledged everything, which the bindings do not tell: once all is with QUIC it asks for
 * an acknowledgement, and sees by the next timer whether anything is still under way.
 */
export class FlushTracker {
  readonly #quic: Connection;
  readonly #idleTimeoutMs: number;
  #state: 'writing' | 'asked' | 'sent' | 'answered' | 'quiet' = 'writing';

  constructor(quic: Connection, idleTimeoutMs: number) {
    this.#quic = quic;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Everything that was queued is with QUIC. Call it before datagrams are taken from it. */
  ask(): void {
    if (this.#state !== 'writing') return;
    this.#quic.sendAckEliciting();
    this.#state = 'asked';
  }

  /** All that QUIC would send now was taken from it; an answer may have made room for more of what is queued. */
  transmitted(datagrams: number): void {
    if (datagrams > 0 && this.#state !== 'writing') this.#state = 'sent';
    else if (this.#state === 'answered') this.#state = 'quiet';
  }

  datagramReceived(): void {
    if (this.#state === 'sent') this.#state = 'answered';
  }

  get acknowledged(): boolean {
    if (this.#state !== 'quiet') return false;
    const { peerMaxIdleTimeout } = this.#quic.stats();
    const idleMs = peerMaxIdleTimeout > 0 ? Math.min(this.#idleTimeoutMs, peerMaxIdleTimeout) : this.#idleTimeoutMs;
    // With something unacknowledged the next timer is a loss timer, which is far shorter than the idle one.
    const acknowledged = (this.#quic.timeout() ?? 0) >= Math.max(idleMs / 2, idleMs - 2 * flushMs);
    if (!acknowledged) this.#state = 'sent';
    return acknowledged;
  }
}
