import { ErrorCode } from '../protocol/error-codes.ts';
import type { HandlerContext } from './context.ts';
import { sendAway } from './replies.ts';

/** How long a client that was told to go is still served: time for answers under way. */
const serveMs = 2_000;
/** Clients come back spread over this time. */
const reconnectSpreadMs = 1_000;

/** Sends clients away with GOAWAY, at a pace, so that they arrive elsewhere at a pace. */
export class Drain {
  #context: HandlerContext;
  #endpoints: readonly string[];
  #perSecond = 0;
  #credit = 0;
  #lastMs = 0;
  #active = false;
  #sent = 0;

  /** @param endpoints where clients are sent; empty when they may only come back later. */
  constructor(context: HandlerContext, endpoints: readonly string[]) {
    this.#context = context;
    this.#endpoints = endpoints;
  }

  get active(): boolean {
    return this.#active;
  }

  /** @param perSecond clients told a second; 0 tells all at once. */
  start(perSecond: number): void {
    this.#active = true;
    this.#perSecond = perSecond;
    this.#lastMs = this.#context.clock.nowMs();
    this.step();
  }

  /** Tells as many more clients as the pace allows; called a few times a second. */
  step(): void {
    if (!this.#active) return;
    const nowMs = this.#context.clock.nowMs();
    const all = this.#perSecond === 0;
    // At most a second's worth at once, however long ago the last step was.
    this.#credit = Math.min(this.#credit + ((nowMs - this.#lastMs) * this.#perSecond) / 1_000, this.#perSecond);
    this.#lastMs = nowMs;
    for (const connection of this.#context.connections) {
      if (!all && this.#credit < 1) return;
      if (connection.phase !== 'open' || connection.closeAtMs !== Number.POSITIVE_INFINITY) continue;
      if (!all) this.#credit -= 1;
      this.#sent += 1;
      sendAway(this.#context, connection, {
        code: ErrorCode.ERROR_GOING_AWAY,
        reason: 'the gateway is draining',
        reconnect: true,
        // Spread by position, not by chance: the core has no randomness.
        reconnectAfterMs: (this.#sent * 37) % reconnectSpreadMs,
        endpoints: this.#endpoints,
        closeAfterMs: serveMs,
        serve: true,
      });
    }
  }
}
