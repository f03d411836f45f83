import type { StartRequest, StartResponse } from '../../proto/gen/message.ts';
import { counter } from './client-codec.ts';

const noToken = Buffer.alloc(0);

/** How the accepted START relates to what the client had. */
export type Arrival = 'new' | 'same' | 'missing-messages' | 'lower-epoch';

/** Which session the client holds, and under which epoch it received what it has (rule 5). */
export class SessionPlace {
  #sessionId = '';
  #resumeToken: Buffer = noToken;
  #epoch = 0;
  #shardId = '';
  #history = '';

  /** Empty when there is no session. */
  get sessionId(): string {
    return this.#sessionId;
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** The fields of START that say where the client stands; without a session they say nothing. */
  forStart(receivedSeqId: number): Pick<StartRequest, 'sessionId' | 'epoch' | 'receivedSeqId' | 'resumeToken'> {
    if (this.#sessionId === '') return { sessionId: '', epoch: 0n, receivedSeqId: 0n, resumeToken: noToken };
    return {
      sessionId: this.#sessionId,
      epoch: BigInt(this.#epoch),
      receivedSeqId: BigInt(receivedSeqId),
      resumeToken: this.#resumeToken,
    };
  }

  /** Judges an accepted START without taking it. Epochs compare only within one shard and history (I1). */
  judge(response: StartResponse, receivedSeqId: number): Arrival {
    const sameHistory = response.shardId === this.#shardId && response.history === this.#history;
    if (sameHistory && counter(response.epoch, 'epoch') < this.#epoch) return 'lower-epoch';
    if (this.#sessionId === '' || response.sessionId !== this.#sessionId) return 'new';
    return counter(response.nextSeqId, 'next_seq_id') > receivedSeqId + 1 ? 'missing-messages' : 'same';
  }

  take(response: StartResponse): void {
    this.#sessionId = response.sessionId;
    this.#resumeToken = response.resumeToken;
    this.#epoch = counter(response.epoch, 'epoch');
    this.#shardId = response.shardId;
    this.#history = response.history;
  }

  /** Forgets the session; the highest epoch stays known. */
  drop(): void {
    this.#sessionId = '';
    this.#resumeToken = noToken;
  }
}
