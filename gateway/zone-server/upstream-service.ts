import { Buffer } from 'node:buffer';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import {
  type ExchangeRequest,
  type ExchangeResponse,
  type UpstreamRequest,
  UpstreamResponse,
  type UpstreamServiceServer,
} from '../../proto/gen/upstream.ts';
import type { Clock } from '../lib/clock.ts';
import { errorMessage } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { AnswerMemory, type AnswerMemoryLimits } from './answer-memory.ts';
import { EpochGuard } from './epoch-guard.ts';
import type { ZoneHandler, ZoneResponse } from './zone-handler.ts';

type ExchangeCall = ServerDuplexStream<ExchangeRequest, ExchangeResponse>;
type Answered = (response: UpstreamResponse) => void;

/** Requests under way on one Exchange stream above which it is not read. */
const openPerStreamMax = 4_096;
/** Requests under way altogether above which new ones are refused. */
const openMax = 65_536;
const answerOverheadBytes = 256;

export interface UpstreamServiceOptions {
  readonly zoneId: string;
  readonly handler: ZoneHandler;
  readonly clock: Clock;
  readonly log: Logger;
  readonly memory: AnswerMemoryLimits;
}

/** Serves `UpstreamService`: each request once, whichever way and how often it comes. */
export class UpstreamService {
  #options: UpstreamServiceOptions;
  #memory: AnswerMemory<UpstreamResponse>;
  #epochs = new EpochGuard();
  #open = 0;
  #stopping = false;
  #streams = new Set<ExchangeCall>();

  constructor(options: UpstreamServiceOptions) {
    this.#options = options;
    this.#memory = new AnswerMemory(options.memory);
  }

  readonly methods: UpstreamServiceServer = {
    processRequest: (call, callback) => this.#process(call.request, (response) => callback(null, response)),
    exchange: (call) => this.#exchange(call),
  };

  /** Requests being carried out. */
  get open(): number {
    return this.#open;
  }

  /** New requests are told to go elsewhere from now on. */
  beginStop(): void {
    this.#stopping = true;
  }

  /** Ends every Exchange stream after what was written on it. */
  endStreams(): void {
    for (const stream of this.#streams) stream.end();
  }

  #process(request: UpstreamRequest, answered: Answered): void {
    const { clock } = this.#options;
    const misplaced = this.#misplaced(request);
    const key =
      request.sessionId === '' || request.clientSeqId === 0n ? '' : `${request.sessionId} ${request.clientSeqId}`;
    if (misplaced !== null) answered(misplaced);
    else if (key !== '' && this.#memory.join(key, clock.nowMs(), answered)) return;
    else if (this.#stopping) answered(this.#failure(ErrorCode.ERROR_ZONE_UNAVAILABLE, 'the zone is stopping'));
    else if (this.#open >= openMax) answered(this.#failure(ErrorCode.ERROR_OVERLOADED, 'the zone is busy'));
    else if (key === '') this.#run(request, answered);
    else {
      this.#memory.begin(key, answered);
      this.#run(request, (response) => {
        this.#memory.finish(key, response, response.data.length + answerOverheadBytes, clock.nowMs());
      });
    }
  }

  /** Why the request is not for this zone, or not from the primary of its shard; null when it may be answered. */
  #misplaced(request: UpstreamRequest): UpstreamResponse | null {
    const { zoneId } = this.#options;
    if (request.zoneId !== '' && request.zoneId !== zoneId) {
      const message = `request for zone ${request.zoneId}, this is zone ${zoneId}`;
      return this.#failure(ErrorCode.ERROR_ZONE_UNAVAILABLE, message);
    }
    if (this.#epochs.admit(request.shardId, request.history, Number(request.epoch))) return null;
    return this.#failure(ErrorCode.ERROR_FENCED, `epoch ${request.epoch} of ${request.shardId} is over`);
  }

  #run(request: UpstreamRequest, answered: Answered): void {
    this.#open += 1;
    const finish = (response: UpstreamResponse): void => {
      this.#open -= 1;
      answered(response);
    };
    const fail = (thrown: unknown): void => {
      this.#options.log.error({ action: request.action, error: errorMessage(thrown) }, 'handler failed');
      finish(this.#failure(ErrorCode.ERROR_ZONE_FAILED, errorMessage(thrown)));
    };
    try {
      const result = this.#options.handler({
        ...request,
        clientSeqId: Number(request.clientSeqId),
        epoch: Number(request.epoch),
      });
      if ('then' in result) result.then((response) => this.#success(response)).then(finish, fail);
      else finish(this.#success(result));
    } catch (thrown) {
      fail(thrown);
    }
  }

  #success(response: ZoneResponse): UpstreamResponse {
    const { success = true, data = '', error, headers = {} } = response;
    const answer = UpstreamResponse.fromPartial({
      success,
      data: typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength),
      zoneId: this.#options.zoneId,
      headers,
    });
    if (error !== undefined) {
      const { message, code = ErrorCode.ERROR_ZONE_FAILED, retryAfterMs = 0 } = error;
      answer.error = { code: code as ErrorCode, message, retryAfterMs, redirect: '' };
    }
    return answer;
  }

  #failure(code: ErrorCode, message: string): UpstreamResponse {
    return this.#success({ success: false, error: { code, message } });
  }

  #exchange(call: ExchangeCall): void {
    this.#streams.add(call);
    let ready: UpstreamResponse[] = [];
    let open = 0;
    let blocked = false;
    const flow = (): void => {
      if (blocked || open > openPerStreamMax) call.pause();
      else if (call.isPaused()) call.resume();
    };
    const flush = (): void => {
      const responses = ready;
      ready = [];
      if (call.writable) blocked = !call.write({ responses });
      flow();
    };
    const answer = (requestId: bigint, response: UpstreamResponse): void => {
      open -= 1;
      // Everything that is answered in this turn of the loop leaves in one message.
      if (ready.length === 0) setImmediate(flush);
      ready.push({ ...response, requestId });
    };
    call.on('data', (batch: ExchangeRequest) => {
      open += batch.requests.length;
      for (const request of batch.requests) {
        this.#process(request, (response) => answer(request.requestId, response));
      }
      flow();
    });
    call.on('drain', () => {
      blocked = false;
      flow();
    });
    call.on('end', () => call.end());
    call.on('error', (error) => this.#options.log.debug({ error: error.message }, 'exchange stream broke'));
    call.on('close', () => this.#streams.delete(call));
  }
}
