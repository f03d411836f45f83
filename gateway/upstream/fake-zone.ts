import type { Buffer } from 'node:buffer';
import {
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceError,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import {
  type ExchangeRequest,
  type ExchangeResponse,
  type UpstreamRequest,
  UpstreamResponse,
  UpstreamServiceService,
} from '../../proto/gen/upstream.ts';

type ExchangeCall = ServerDuplexStream<ExchangeRequest, ExchangeResponse>;

/** What the fake does with one request: an answer, nothing (`null`), or a gRPC status for the call that carries it. */
export type FakeAnswer = Partial<UpstreamResponse> | { readonly status: number } | null;

export interface FakeZoneOptions {
  readonly port?: number;
  readonly exchange?: boolean;
  readonly unary?: boolean;
  readonly health?: boolean;
  readonly answer?: (request: UpstreamRequest) => FakeAnswer | Promise<FakeAnswer>;
  readonly serverCredentials?: ServerCredentials;
}

/** A zone over real gRPC for the tests of this directory: counts what it sees and answers as told. */
export class FakeZone {
  readonly requests: UpstreamRequest[] = [];
  /** Items of each ExchangeRequest received. */
  readonly batches: number[] = [];
  readonly calls = new Set<ExchangeCall>();
  streamsOpened = 0;
  unaryCalls = 0;
  port = 0;
  #server = new Server({ 'grpc.max_receive_message_length': -1 });
  #health = new HealthImplementation({ '': 'SERVING' });
  #options: FakeZoneOptions;
  answer: (request: UpstreamRequest) => FakeAnswer | Promise<FakeAnswer>;

  private constructor(options: FakeZoneOptions) {
    this.#options = options;
    this.answer = options.answer ?? echo;
  }

  static async start(options: FakeZoneOptions = {}): Promise<FakeZone> {
    const zone = new FakeZone(options);
    await zone.#listen();
    return zone;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  setServing(serving: boolean): void {
    this.#health.setStatus('', serving ? 'SERVING' : 'NOT_SERVING');
  }

  /** Cuts every connection, like a killed process. */
  kill(): void {
    this.#server.forceShutdown();
  }

  async #listen(): Promise<void> {
    const { exchange = true, unary = true, health = true } = this.#options;
    const methods: { processRequest?: unknown; exchange?: unknown } = {};
    const service: { processRequest?: unknown; exchange?: unknown } = {};
    if (unary) {
      service.processRequest = UpstreamServiceService.processRequest;
      methods.processRequest = this.#processRequest;
    }
    if (exchange) {
      service.exchange = UpstreamServiceService.exchange;
      methods.exchange = (call: ExchangeCall) => this.#exchange(call);
    }
    this.#server.addService(service as never, methods as never);
    if (health) this.#health.addToServer(this.#server);
    const credentials = this.#options.serverCredentials ?? ServerCredentials.createInsecure();
    this.port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.#options.port ?? 0}`, credentials, (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
  }

  #processRequest: handleUnaryCall<UpstreamRequest, UpstreamResponse> = async (call, callback) => {
    this.unaryCalls += 1;
    this.requests.push(call.request);
    const answer = await this.answer(call.request);
    if (answer === null) return;
    if ('status' in answer) callback({ code: answer.status, details: 'as told' } as ServiceError);
    else callback(null, UpstreamResponse.fromPartial(answer));
  };

  #exchange(call: ExchangeCall): void {
    this.streamsOpened += 1;
    this.calls.add(call);
    call.on('error', () => {});
    call.on('close', () => this.calls.delete(call));
    call.on('end', () => call.end());
    call.on('data', (batch: ExchangeRequest) => void this.#batch(call, batch));
  }

  async #batch(call: ExchangeCall, batch: ExchangeRequest): Promise<void> {
    this.batches.push(batch.requests.length);
    const responses: UpstreamResponse[] = [];
    for (const request of batch.requests) {
      this.requests.push(request);
      const answer = await this.answer(request);
      if (answer === null) continue;
      if ('status' in answer) {
        call.emit('error', { code: answer.status, details: 'as told' } satisfies Partial<StatusObject>);
        return;
      }
      responses.push(UpstreamResponse.fromPartial({ ...answer, requestId: request.requestId }));
    }
    if (responses.length > 0) call.write({ responses });
  }
}

export function echo(request: UpstreamRequest): Partial<UpstreamResponse> {
  return { success: true, data: request.data as Buffer, zoneId: request.zoneId };
}

export const unavailable: FakeAnswer = { status: status.UNAVAILABLE };
