import type { QuicheConnection } from './connection.ts';

interface Timer {
  readonly handle: NodeJS.Timeout;
  readonly atMs: number;
}

/** One timer a connection. Most are moved to a later time before they fire: those fire early, and are set again. */
export class ConnectionTimers {
  readonly #timers = new Map<QuicheConnection, Timer>();

  set(connection: QuicheConnection, nowMs: number, fire: () => void): void {
    const atMs = connection.nextWakeMs(nowMs);
    const known = this.#timers.get(connection);
    if (atMs === Number.POSITIVE_INFINITY || (known !== undefined && known.atMs <= atMs)) return;
    clearTimeout(known?.handle);
    const fired = () => {
      this.#timers.delete(connection);
      fire();
    };
    this.#timers.set(connection, { handle: setTimeout(fired, Math.max(1, Math.ceil(atMs - nowMs))), atMs });
  }

  clear(connection: QuicheConnection): void {
    clearTimeout(this.#timers.get(connection)?.handle);
    this.#timers.delete(connection);
  }

  clearAll(): void {
    for (const { handle } of this.#timers.values()) clearTimeout(handle);
    this.#timers.clear();
  }
}
