import { HeartbeatMonitor, type HeartbeatOptions } from './heartbeat.ts';
import type { LeaseGossip } from './pair-options.ts';
import type { HeartbeatMessage, PeerStatus } from './peer-messages.ts';

export interface PeerWatchOptions extends HeartbeatOptions {
  /** What heartbeats say of this gateway now. */
  readonly own: () => PeerStatus;
  readonly send: (message: HeartbeatMessage) => void;
  readonly gossip: LeaseGossip | undefined;
  /** The peer told of a newer Lease. */
  readonly leaseHeard: () => void;
}

/** The exchange of heartbeats with the peer: what each says of itself, and whether the other lives. */
export class PeerWatch {
  readonly monitor: HeartbeatMonitor;
  #options: PeerWatchOptions;

  constructor(options: PeerWatchOptions) {
    this.#options = options;
    this.monitor = new HeartbeatMonitor(options);
  }

  get peer(): PeerStatus | undefined {
    return this.monitor.status;
  }

  tick(nowMs: number): void {
    const ping = this.monitor.tick(nowMs);
    if (ping !== undefined) this.#send('ping', ping);
  }

  /** The peer should hear of news at once. */
  announce(nowMs: number): void {
    this.#send('ping', this.monitor.pingNow(nowMs));
  }

  heard(nowMs: number, message: HeartbeatMessage): void {
    const known = this.peer?.incarnation;
    const said = message.status.incarnation;
    if (message.kind === 'ping') this.#send('pong', message.number);
    this.monitor.heard(nowMs, message);
    // A new incarnation is believed once it answers; ask at once.
    if (known !== undefined && known !== said && this.peer?.incarnation === known) this.announce(nowMs);
    if (this.#options.gossip?.heard(message.status.lease) === true) this.#options.leaseHeard();
  }

  #send(kind: HeartbeatMessage['kind'], number: number): void {
    this.#options.send({ kind, number, status: this.#options.own() });
  }
}
