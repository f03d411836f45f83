import type { HeartbeatMessage, PeerStatus } from './peer-messages.ts';

export interface HeartbeatOptions {
  readonly intervalMs: number;
  /** Silence after which the peer counts as lost. */
  readonly timeoutMs: number;
}

/** A step of time longer than this was a stall of this process: it says nothing about the peer. */
const stepMaxMs = 250;
const sentKept = 64;

/**
 * Says whether the peer is lost (rule 13). Silence is counted only while this process itself runs, so that one that was
 * stopped does not blame its peer for it.
 */
export class HeartbeatMonitor {
  #options: HeartbeatOptions;
  #number = 0;
  #sentAt = new Map<number, number>();
  #nextPingMs = Number.NEGATIVE_INFINITY;
  #lastTickMs: number | undefined;
  #silentMs = 0;
  #wasReset = false;
  #refused = false;
  #status: PeerStatus | undefined;
  #confirmedAtMs = Number.NEGATIVE_INFINITY;
  #lostForMs = 0;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  /** The last the peer said of itself; undefined before the first. */
  get status(): PeerStatus | undefined {
    return this.#status;
  }

  /** The peer said its status after this moment. */
  get confirmedAtMs(): number {
    return this.#confirmedAtMs;
  }

  /** How long nothing was heard, in time this process has seen pass. */
  get silentMs(): number {
    return this.#silentMs;
  }

  /** Its connection broke and was then refused: nobody is there. */
  get refused(): boolean {
    return this.#refused;
  }

  /** Silent for the timeout, or its connection was reset and then refused: nobody is there. */
  get lost(): boolean {
    return this.#refused || this.#silentMs >= this.#options.timeoutMs;
  }

  /** It may be gone: its connection broke, or it is lost. */
  get inDoubt(): boolean {
    return this.#wasReset || this.lost;
  }

  /** How long it has been lost, or was not heard of since the start; in time this process has seen pass. */
  get lostForMs(): number {
    return this.#lostForMs;
  }

  /**
   * Another incarnation lives there, or nobody does.
   * @param sinceMs the incarnation was known to be right at this moment: only what was said later counts.
   */
  isDead(incarnation: string, sinceMs: number): boolean {
    if (this.#status === undefined) return false;
    if (this.#status.incarnation !== incarnation) return this.#confirmedAtMs >= sinceMs;
    return this.#refused;
  }

  /** @returns the number of a ping to send now; undefined when none is due. */
  tick(nowMs: number): number | undefined {
    const stepMs = this.#lastTickMs === undefined ? 0 : Math.min(Math.max(0, nowMs - this.#lastTickMs), stepMaxMs);
    this.#lastTickMs = nowMs;
    this.#silentMs += stepMs;
    this.#lostForMs = this.lost || this.#status === undefined ? this.#lostForMs + stepMs : 0;
    return nowMs >= this.#nextPingMs ? this.pingNow(nowMs) : undefined;
  }

  /** A ping before it is due, because there is something to tell. */
  pingNow(nowMs: number): number {
    this.#nextPingMs = nowMs + this.#options.intervalMs;
    this.#number += 1;
    this.#sentAt.set(this.#number, nowMs);
    this.#sentAt.delete(this.#number - sentKept);
    return this.#number;
  }

  /** Takes the peer's ping or pong. */
  heard(nowMs: number, message: HeartbeatMessage): void {
    if (message.kind === 'ping') {
      // Without an answered number it may be old news of a dead process; it shows only that somebody lives there.
      if (this.#status === undefined || this.#status.incarnation === message.status.incarnation) this.#alive(message);
      return;
    }
    const sentMs = this.#sentAt.get(message.number);
    if (sentMs === undefined || sentMs < this.#confirmedAtMs) return;
    this.#confirmedAtMs = sentMs;
    this.#alive(message);
    this.#silentMs = Math.min(Math.max(0, nowMs - sentMs), stepMaxMs);
  }

  /** The connection to the peer broke; before it was up this says nothing. */
  connectionReset(): void {
    if (this.#status !== undefined) this.#wasReset = true;
  }

  /** Nobody listens at the peer's address. */
  connectionRefused(): void {
    if (this.#wasReset) this.#refused = true;
  }

  #alive(message: HeartbeatMessage): void {
    this.#status = message.status;
    this.#silentMs = 0;
    this.#wasReset = false;
    this.#refused = false;
  }
}
