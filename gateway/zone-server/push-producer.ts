import type { ClientDuplexStream } from '@grpc/grpc-js';
import { type PushBatch, type PushItem, type PushResultBatch, PushStatus } from '../../proto/gen/upstream.ts';
import type { Clock } from '../lib/clock.ts';
import { PushError } from './errors.ts';
import type { GatewayDirectory } from './gateway-directory.ts';
import {
  type BroadcastOptions,
  type BroadcastResult,
  broadcastRequest,
  broadcastResult,
  type PushOptions,
  type PushResult,
  type PushTarget,
  pushResult,
  unicastRequest,
} from './push-types.ts';
import { type NumberedPush, PushWindow } from './push-window.ts';

export interface PushProducerOptions {
  /** Sent and unanswered pushes; gateways remember 4,096 answers of a producer, so it is at most that. 1,024 when absent. */
  readonly windowItems?: number;
  /** Pushes that wait for a place in the window; beyond it a push fails as `overloaded`. 65,536 when absent. */
  readonly backlogItems?: number;
}

export interface ProducerSurroundings {
  readonly directory: GatewayDirectory;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Below the gateways' push_dedupe_horizon. */
  readonly horizonMs: number;
}

type Stream = ClientDuplexStream<PushBatch, PushResultBatch>;
type Judged = PushResult | BroadcastResult | PushError;

const windowItemsMax = 4_096;
const batchItemsMax = 512;
const batchBytesMax = 262_144;
const reconnectMinMs = 100;
const reconnectMaxMs = 2_000;
const checkMs = 1_000;
/** A stream without a result for so long is given up: a gateway answers at once, or when a client acknowledged. */
const stallMs = 10_000;
const stallAckedMs = 40_000;

/**
 * Pushes in batches over one `PushStream`, in the order they were given. Each has a number under the producer's id; after a
 * reconnect what is unanswered is sent again under the same numbers, so a gateway takes each once.
 */
export class PushProducer {
  #surroundings: ProducerSurroundings;
  #window: PushWindow<PushItem, Judged>;
  #producerId: string;
  #stream: Stream | null = null;
  #address = '';
  #blocked = false;
  #planned = false;
  #failures = 0;
  /** When a result came last, or the stream began. */
  #progressMs = 0;
  #reconnect: NodeJS.Timeout | null = null;
  #checkTimer: NodeJS.Timeout;
  #closing: (() => void) | null = null;
  #closed = false;

  constructor(surroundings: ProducerSurroundings, options: PushProducerOptions = {}) {
    this.#surroundings = surroundings;
    const windowItems = Math.min(options.windowItems ?? 1_024, windowItemsMax);
    this.#window = new PushWindow(windowItems, options.backlogItems ?? 65_536);
    this.#producerId = surroundings.newId();
    this.#checkTimer = setInterval(() => this.#check(), checkMs).unref();
  }

  /** Pushes that have no result yet. */
  get unanswered(): number {
    return this.#window.size;
  }

  /**
   * Pushes to one session. `pushId` is not an option here: the producer's number takes its place.
   * @throws PushError
   */
  async push(
    target: PushTarget,
    data: Uint8Array | string,
    options: Omit<PushOptions, 'pushId'> = {},
  ): Promise<PushResult> {
    const value = unicastRequest(target, data, options, '');
    return (await this.#add({ item: { $case: 'unicast', value } }, options.level === 'acked')) as PushResult;
  }

  /** Pushes to every session that matches. @throws PushError */
  async broadcast(data: Uint8Array | string, options: Omit<BroadcastOptions, 'pushId'> = {}): Promise<BroadcastResult> {
    const value = broadcastRequest(data, options, '');
    return (await this.#add({ item: { $case: 'broadcast', value } }, options.level === 'acked')) as BroadcastResult;
  }

  /** Takes no more, waits up to `deadlineMs` for the results still out, then ends the stream; the rest is UNKNOWN. */
  async close(deadlineMs: number): Promise<void> {
    this.#closed = true;
    if (this.#window.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadlineMs);
        this.#closing = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    clearInterval(this.#checkTimer);
    if (this.#reconnect !== null) clearTimeout(this.#reconnect);
    const stream = this.#stream;
    this.#stream = null;
    stream?.cancel();
    for (const push of this.#window.drop()) push.done(this.#lostError(push));
  }

  #add(item: PushItem, alone: boolean): Promise<PushResult | BroadcastResult> {
    const pushId = '(stream)';
    if (this.#closed) return Promise.reject(new PushError('unavailable', pushId, 'the producer is closed'));
    const bytes = item.item?.value.data.length ?? 0;
    return new Promise((resolve, reject) => {
      const done = (judged: Judged): void => (judged instanceof PushError ? reject(judged) : resolve(judged));
      if (this.#window.add({ item, bytes, alone, done })) this.#plan();
      else reject(new PushError('overloaded', pushId, 'too many pushes are waiting'));
    });
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      this.#send();
    });
  }

  #send(): void {
    if (this.#window.size === 0 || this.#reconnect !== null) return;
    const stream = this.#stream ?? this.#connect();
    if (!this.#window.anyOut) this.#progressMs = this.#surroundings.clock.nowMs();
    while (!this.#blocked) {
      const pushes = this.#window.take(batchItemsMax, batchBytesMax, this.#surroundings.clock.nowMs());
      const first = pushes[0];
      if (first === undefined) return;
      for (const { item, number } of pushes) if (item.item !== undefined) item.item.value.pushId = String(number);
      const items = pushes.map(({ item }) => item);
      this.#blocked = !stream.write({ items, producerId: this.#producerId, firstNumber: BigInt(first.number) });
    }
  }

  #connect(): Stream {
    const { directory } = this.#surroundings;
    this.#address = directory.primary;
    const stream = directory.client(this.#address).pushStream();
    this.#stream = stream;
    this.#blocked = false;
    this.#progressMs = this.#surroundings.clock.nowMs();
    stream.on('data', (batch: PushResultBatch) => this.#results(stream, batch));
    stream.on('drain', () => {
      if (stream !== this.#stream) return;
      this.#blocked = false;
      this.#send();
    });
    stream.on('error', () => this.#broke(stream, true));
    stream.on('end', () => this.#broke(stream, false));
    return stream;
  }

  #results(stream: Stream, batch: PushResultBatch): void {
    if (stream !== this.#stream) return;
    this.#progressMs = this.#surroundings.clock.nowMs();
    for (const { result } of batch.results) {
      const number = this.#window.match(result?.value.pushId ?? '');
      if (number === undefined) continue;
      if (result?.value.status === PushStatus.PUSH_STATUS_NOT_PRIMARY) {
        this.#broke(stream, true);
        return;
      }
      this.#failures = 0;
      const pushId = `${this.#producerId}/${number}`;
      this.#window.answer(number)?.done(judge(pushId, result));
    }
    if (this.#window.size === 0) this.#closing?.();
    else this.#plan();
  }

  #broke(stream: Stream, failed: boolean): void {
    if (stream !== this.#stream) return;
    this.#stream = null;
    stream.cancel();
    this.#window.resend();
    if (failed) this.#surroundings.directory.refused(this.#address);
    const delayMs = Math.min(reconnectMinMs * 2 ** this.#failures, reconnectMaxMs);
    this.#failures += 1;
    this.#reconnect = setTimeout(() => {
      this.#reconnect = null;
      this.#send();
    }, delayMs);
    this.#reconnect.unref();
  }

  /** Gateways forget a producer; before they may, what is out becomes UNKNOWN and a new producer begins. */
  #check(): void {
    const { clock, horizonMs, newId } = this.#surroundings;
    const stalledMs = clock.nowMs() - this.#progressMs;
    if (this.#stream !== null && stalledMs > (this.#window.awaitsClients ? stallAckedMs : stallMs)) {
      if (this.#window.size > 0) this.#broke(this.#stream, true);
    }
    if (clock.nowMs() - this.#window.oldestSentMs < horizonMs) return;
    const lost = this.#window.dropSent();
    this.#producerId = newId();
    const stream = this.#stream;
    if (stream !== null) this.#broke(stream, true);
    for (const push of lost) push.done(this.#lostError(push));
    if (this.#window.size === 0) this.#closing?.();
  }

  #lostError(push: NumberedPush<PushItem, Judged>): PushError {
    const sent = push.sentMs !== undefined;
    const why = sent ? 'no gateway said in time what became of it' : 'it was not sent in time';
    return new PushError(sent ? 'unknown' : 'unavailable', `${this.#producerId}/${push.number}`, why);
  }
}

function judge(pushId: string, result: PushResultBatch['results'][number]['result']): Judged {
  if (result?.$case === 'unicast') return pushResult(pushId, result.value);
  if (result?.$case === 'broadcast') return broadcastResult(pushId, result.value);
  return new PushError('invalid', pushId, 'the gateway did not understand it');
}
