import type { PeerMessage } from '../../replication/peer-messages.ts';
import type { Random } from '../random.ts';
import type { VirtualClock } from '../virtual-clock.ts';

export interface LinkFaults {
  maxDelayMs: number;
  lossRate: number;
  /** Share of messages that come much later, long after others. */
  lateRate: number;
  duplicateRate: number;
  corruptRate: number;
}

export const calmLink: LinkFaults = { maxDelayMs: 4, lossRate: 0, lateRate: 0, duplicateRate: 0, corruptRate: 0 };

/** One direction between two gateways. In order but for what is late or doubled; nothing passes while it is cut. */
export class SimLink {
  cut = false;
  faults: LinkFaults = { ...calmLink };
  #clock: VirtualClock;
  #random: Random;
  #deliver: (message: PeerMessage) => void;
  #lastArrivalMs = 0;

  constructor(clock: VirtualClock, random: Random, deliver: (message: PeerMessage) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#deliver = deliver;
  }

  send(message: PeerMessage): void {
    const random = this.#random;
    const { maxDelayMs, lossRate, lateRate, duplicateRate, corruptRate } = this.faults;
    if (this.cut || random.chance(lossRate)) return;
    const nowMs = this.#clock.nowMs();
    if (random.chance(lateRate)) return this.#arrive(nowMs + random.between(200, 3_000), message);
    const atMs = Math.max(this.#lastArrivalMs, nowMs + random.between(0, maxDelayMs));
    this.#lastArrivalMs = atMs;
    this.#arrive(atMs, random.chance(corruptRate) ? corrupted(message, random) : message);
    if (random.chance(duplicateRate)) this.#arrive(atMs + random.between(0, 50), message);
  }

  #arrive(atMs: number, message: PeerMessage): void {
    this.#clock.schedule(atMs - this.#clock.nowMs(), () => {
      if (!this.cut) this.#deliver(message);
    });
  }
}

/** The same message with one byte of its content changed. */
function corrupted(message: PeerMessage, random: Random): PeerMessage {
  if (message.kind !== 'batch' && message.kind !== 'chunk') return message;
  const bytes = Buffer.from(message.bytes);
  const at = random.between(0, bytes.length - 1);
  bytes[at] = (bytes[at] ?? 0) ^ (1 + random.between(0, 254));
  return { ...message, bytes };
}
