import { Server, ServerCredentials, type ServerDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import {
  BroadcastPushResponse,
  type GatewayServiceServer,
  GatewayServiceService,
  type PushBatch,
  PushLevel,
  type PushResult,
  type PushResultBatch,
  PushStatus,
  type RegisterUpstreamRequest,
  RegisterUpstreamResponse,
  type UnicastPushRequest,
  UnicastPushResponse,
  type UnregisterUpstreamRequest,
} from '../../proto/gen/upstream.ts';

type PushCall = ServerDuplexStream<PushBatch, PushResultBatch>;

export interface FakePush {
  readonly producerId: string;
  /** 0 for a unary push. */
  readonly number: number;
  readonly pushId: string;
  readonly text: string;
  readonly request?: UnicastPushRequest;
}

const notAsked = { code: status.UNIMPLEMENTED };

/** A gateway's `GatewayService` over real gRPC: takes registrations and pushes, and does as its fields say. */
export class FakeGateway {
  readonly registrations: RegisterUpstreamRequest[] = [];
  readonly left: UnregisterUpstreamRequest[] = [];
  /** Everything received, repeats included. */
  readonly pushes: FakePush[] = [];
  readonly streams = new Set<PushCall>();
  port = 0;
  epoch = 1;
  registerAnswer: () => Partial<RegisterUpstreamResponse> = () => ({ success: true, leaseMs: 15_000 });
  /** A status for a push, 'silence' for no answer, 'break' for a call that fails without one. */
  pushAnswer: (push: FakePush) => PushStatus | 'silence' | 'break' = () => PushStatus.PUSH_STATUS_OK;
  #server = new Server();
  #seqId = 0;

  static async start(port = 0): Promise<FakeGateway> {
    const gateway = new FakeGateway();
    await gateway.#listen(port);
    return gateway;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  async #listen(port: number): Promise<void> {
    const service: GatewayServiceServer = {
      registerUpstream: (call, callback) => {
        this.registrations.push(call.request);
        callback(null, RegisterUpstreamResponse.fromPartial({ epoch: BigInt(this.epoch), ...this.registerAnswer() }));
      },
      unregisterUpstream: (call, callback) => {
        this.left.push(call.request);
        callback(null, { success: true, error: undefined });
      },
      unicastPush: (call, callback) => {
        const { pushId, data } = call.request;
        const push = { producerId: '', number: 0, pushId, text: data.toString(), request: call.request };
        this.pushes.push(push);
        const answer = this.pushAnswer(push);
        if (answer === 'break') callback({ code: status.UNAVAILABLE, details: 'as told' } as ServiceError);
        else if (answer !== 'silence') callback(null, this.#unicast(answer, pushId));
      },
      broadcastPush: (call, callback) => {
        const { pushId, data } = call.request;
        this.pushes.push({ producerId: '', number: 0, pushId, text: data.toString() });
        callback(
          null,
          BroadcastPushResponse.fromPartial({ status: PushStatus.PUSH_STATUS_OK, matched: 3, accepted: 2 }),
        );
      },
      pushStream: (call) => this.#pushStream(call),
      groupPush: (_call, callback) => callback(notAsked, null),
      joinGroup: (_call, callback) => callback(notAsked, null),
      leaveGroup: (_call, callback) => callback(notAsked, null),
      presence: (_call, callback) => callback(notAsked, null),
    };
    this.#server.addService(GatewayServiceService, service);
    this.port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
  }

  #pushStream(call: PushCall): void {
    this.streams.add(call);
    call.on('error', () => {});
    call.on('close', () => this.streams.delete(call));
    call.on('end', () => call.end());
    call.on('data', ({ items, producerId, firstNumber }: PushBatch) => {
      const results: PushResult[] = [];
      for (const [index, { item }] of items.entries()) {
        const number = Number(firstNumber) + index;
        const { pushId = '', data = Buffer.alloc(0) } = item?.value ?? {};
        const push = { producerId, number, pushId, text: data.toString() };
        this.pushes.push(push);
        const answer = this.pushAnswer(push);
        if (answer === 'silence') continue;
        if (answer === 'break') {
          call.emit('error', { code: status.UNAVAILABLE, details: 'as told' });
          return;
        }
        results.push({ result: { $case: 'unicast', value: this.#unicast(answer, pushId) } });
      }
      if (results.length > 0) call.write({ results });
    });
  }

  #unicast(answer: PushStatus, pushId: string): UnicastPushResponse {
    this.#seqId += 1;
    return UnicastPushResponse.fromPartial({
      status: answer,
      seqId: BigInt(this.#seqId),
      epoch: BigInt(this.epoch),
      level: answer === PushStatus.PUSH_STATUS_OK ? PushLevel.PUSH_LEVEL_COMMITTED : PushLevel.PUSH_LEVEL_UNSPECIFIED,
      pushId,
    });
  }
}
