import { type ClientDuplexStream, credentials, ServerCredentials, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AdminServiceClient,
  AdminServiceService,
  type ListSessionsRequest,
  type ListSessionsResponse,
  type SetOverloadLimitsRequest,
  type SetOverloadLimitsResponse,
} from '../../proto/gen/admin.ts';
import { AckRequest, PushType, RequestType } from '../../proto/gen/message.ts';
import {
  BroadcastPushRequest,
  GatewayServiceClient,
  GatewayServiceService,
  type PushBatch,
  PushLevel,
  type PushResultBatch,
  PushStatus,
  type RegisterUpstreamRequest,
  type RegisterUpstreamResponse,
  UnicastPushRequest,
  type UnicastPushResponse,
} from '../../proto/gen/upstream.ts';
import type { GatewayControl } from '../handlers/control.ts';
import { gatewayStatus } from '../handlers/status.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { HandlerHarness } from '../testing/handler-harness.ts';
import { adminService } from './admin-service.ts';
import { gatewayService } from './gateway-service.ts';
import { type GrpcServer, startGrpcServer } from './grpc-server.ts';

let gateway: HandlerHarness;
let server: GrpcServer;
let zone: GatewayServiceClient;
let admin: AdminServiceClient;

function controlOf({ context }: HandlerHarness): GatewayControl {
  const identity = { serverId: 'gate-test', version: '0.0.0', podUid: 'uid-1' };
  const refused = { success: false, error: undefined, epoch: 0n };
  return {
    status: () => gatewayStatus(context, identity, true, false),
    promote: () => Promise.resolve(refused),
    demote: () => Promise.resolve(refused),
    drain: () => 0,
    onChange: () => () => {},
    onShutdown: () => () => {},
  };
}

beforeEach(async () => {
  gateway = new HandlerHarness();
  server = await startGrpcServer({
    address: '127.0.0.1:0',
    credentials: ServerCredentials.createInsecure(),
    interceptors: [],
    services: [
      { definition: GatewayServiceService, implementation: gatewayService(gateway.context) },
      { definition: AdminServiceService, implementation: adminService(gateway.context, controlOf(gateway)) },
    ],
    reflection: true,
  });
  const address = `127.0.0.1:${server.port}`;
  zone = new GatewayServiceClient(address, credentials.createInsecure());
  admin = new AdminServiceClient(address, credentials.createInsecure());
});

afterEach(async () => {
  zone.close();
  admin.close();
  await server.close(1_000);
});

/** One unary call as a promise. */
function ask<Request, Response>(
  call: (request: Request, done: (error: Error | null, response: Response) => void) => unknown,
  request: Request,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    call(request, (error, response) => (error === null ? resolve(response) : reject(error)));
  });
}

const unicast = (push: Partial<UnicastPushRequest>): Promise<UnicastPushResponse> =>
  ask(
    (request, done) => zone.unicastPush(request, done),
    UnicastPushRequest.fromPartial({ data: Buffer.from('news'), ...push }),
  );
const register = (zoneId: string, address: string, weight = 1) =>
  ask<RegisterUpstreamRequest, RegisterUpstreamResponse>((request, done) => zone.registerUpstream(request, done), {
    zoneId,
    address,
    instanceId: 'i',
    weight,
  });

describe('GatewayService', () => {
  it('registers a zone under its lease, and again as its keepalive', async () => {
    expect(await register('001', '127.0.0.1:9001')).toMatchObject({ success: true, leaseMs: 30_000, epoch: 1n });
    expect(await register('001', '127.0.0.1:9001')).toMatchObject({ success: true });
    expect(gateway.context.sessions.zones()).toMatchObject([
      { zoneId: '001', endpoints: [{ address: '127.0.0.1:9001', weight: 1 }] },
    ]);
    const leave = { zoneId: '001', address: '127.0.0.1:9001', instanceId: 'i' };
    expect(await ask((request, done) => zone.unregisterUpstream(request, done), leave)).toMatchObject({
      success: true,
    });
    expect(gateway.context.sessions.zones().flatMap(({ endpoints }) => endpoints)).toEqual([]);
  });

  it.each([
    ['000', '127.0.0.1:9001', 1],
    ['007', '127.0.0.1:9001', 1],
    ['1', '127.0.0.1:9001', 1],
    ['001', ':9001', 1],
    ['001', '127.0.0.1', 1],
    ['001', '127.0.0.1:9001', 1_001],
  ])('refuses zone %s at %s with weight %d, and says what was expected', async (zoneId, address, weight) => {
    const response = await register(zoneId, address, weight);
    expect(response.success).toBe(false);
    expect(response.error?.code).toBe(ErrorCode.ERROR_BAD_MESSAGE);
    expect(response.error?.message).toMatch(/expected/);
  });

  it('pushes to a session, once for one push_id, and tells at once when there is nobody', async () => {
    const { connection } = gateway.start({ openid: 'alice' });
    const first = await unicast({ openid: 'alice', pushId: 'p1' });
    expect(first).toMatchObject({
      status: PushStatus.PUSH_STATUS_OK,
      seqId: 1n,
      level: PushLevel.PUSH_LEVEL_QUEUED,
      pushId: 'p1',
    });
    expect(await unicast({ openid: 'alice', pushId: 'p1' })).toMatchObject({
      status: PushStatus.PUSH_STATUS_OK,
      seqId: 1n,
    });
    expect(await unicast({ openid: 'nobody' })).toMatchObject({ status: PushStatus.PUSH_STATUS_NO_SESSION });
    expect(gateway.pushes(connection).filter((push) => push.type === PushType.PUSH_NOTIFY)).toHaveLength(1);
  });

  it.each([
    ['nobody to push to', {}, PushStatus.PUSH_STATUS_INVALID],
    ['an order without a request', { openid: 'alice', order: 1 as const }, PushStatus.PUSH_STATUS_INVALID],
    ['an unknown order', { openid: 'alice', order: 9 as 0 }, PushStatus.PUSH_STATUS_INVALID],
    ['a push_id of 200 bytes', { openid: 'alice', pushId: 'x'.repeat(200) }, PushStatus.PUSH_STATUS_INVALID],
    ['more than a frame holds', { openid: 'alice', data: Buffer.alloc(70_000) }, PushStatus.PUSH_STATUS_TOO_LARGE],
  ])('judges %s with gRPC status OK', async (_name, push, expected) => {
    gateway.start({ openid: 'alice' });
    expect((await unicast(push)).status).toBe(expected);
  });

  it('ACKED waits for the client, and ends with what became of the push', async () => {
    const { connection } = gateway.start({ openid: 'alice' });
    const acked = unicast({ openid: 'alice', level: PushLevel.PUSH_LEVEL_ACKED });
    await expect.poll(() => gateway.context.pushWaiters.size).toBe(1);
    const payload = Buffer.from(AckRequest.encode({ ackUpTo: 1n }).finish());
    gateway.send(connection, { type: RequestType.REQUEST_ACK, payload });
    expect(await acked).toMatchObject({ status: PushStatus.PUSH_STATUS_OK, level: PushLevel.PUSH_LEVEL_ACKED });
    const orphan = unicast({ openid: 'alice', level: PushLevel.PUSH_LEVEL_ACKED });
    await expect.poll(() => gateway.context.pushWaiters.size).toBe(1);
    gateway.send(connection, { type: RequestType.REQUEST_STOP });
    expect(await orphan).toMatchObject({ status: PushStatus.PUSH_STATUS_NO_SESSION });
  });

  it('broadcasts to all, or to whom the filter names', async () => {
    const alice = gateway.start({ openid: 'alice' });
    const bob = gateway.start({ openid: 'bob' });
    const send = (push: Partial<BroadcastPushRequest>) =>
      ask((request, done) => zone.broadcastPush(request, done), BroadcastPushRequest.fromPartial(push));
    expect(await send({ data: Buffer.from('all') })).toMatchObject({ matched: 2, accepted: 2 });
    expect(await send({ data: Buffer.from('one'), openids: ['bob', 'nobody'] })).toMatchObject({
      matched: 1,
      accepted: 1,
    });
    const texts = (connection: number) =>
      gateway
        .pushes(connection)
        .filter((push) => push.type === PushType.PUSH_NOTIFY)
        .map((push) => push.payload.toString());
    expect(texts(alice.connection)).toEqual(['all']);
    expect(texts(bob.connection)).toEqual(['all', 'one']);
  });
});

describe('PushStream', () => {
  let stream: ClientDuplexStream<PushBatch, PushResultBatch>;
  const next = () =>
    new Promise<PushResultBatch>((resolve, reject) => {
      stream.once('data', resolve);
      stream.once('error', reject);
    });
  const item = (openid: string) => ({
    item: { $case: 'unicast' as const, value: UnicastPushRequest.fromPartial({ openid, data: Buffer.from(openid) }) },
  });

  beforeEach(() => {
    stream = zone.pushStream();
    stream.on('error', () => {});
  });

  afterEach(() => stream.cancel());

  it('answers each batch with its results in order, and a repeated number with the first answer', async () => {
    gateway.start({ openid: 'alice' });
    const batch = { items: [item('alice'), item('nobody'), item('alice')], producerId: 'z1', firstNumber: 1n };
    stream.write(batch);
    const first = await next();
    const shown = (results: PushResultBatch) =>
      results.results.map(({ result }) => [
        result?.value.status,
        result?.$case === 'unicast' ? result.value.seqId : 0n,
      ]);
    expect(shown(first)).toEqual([
      [PushStatus.PUSH_STATUS_OK, 1n],
      [PushStatus.PUSH_STATUS_NO_SESSION, 0n],
      [PushStatus.PUSH_STATUS_OK, 2n],
    ]);
    stream.write(batch);
    expect(shown(await next())).toEqual(shown(first));
    expect(gateway.context.sessions.sessionOf('alice')?.nextSeqId).toBe(3);
  });

  it('ends with INVALID_ARGUMENT when a batch is beyond its bound', async () => {
    stream.write({ items: Array.from({ length: 10_001 }, () => item('a')), producerId: '', firstNumber: 0n });
    await expect(next()).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

describe('AdminService', () => {
  it('watches: the status comes at once and again', async () => {
    gateway.start({ openid: 'alice' });
    const stream = admin.watch({ intervalMs: 50 });
    stream.on('error', () => {});
    const statuses: number[] = [];
    stream.on('data', (shown) => statuses.push(shown.sessions));
    await expect.poll(() => statuses.length).toBeGreaterThan(1);
    expect(statuses[0]).toBe(1);
    stream.cancel();
  });

  it('sets all zones of a revision; a bad set changes nothing', async () => {
    const set = (zoneIds: string[], revision: bigint) =>
      ask((request, done) => admin.setZones(request, done), {
        revision,
        zones: zoneIds.map((zoneId) => ({
          zoneId,
          uid: 'u',
          generation: 1n,
          endpoints: [{ address: '127.0.0.1:9001', weight: 1, healthy: true }],
        })),
      });
    expect(await set(['001', '002'], 5n)).toMatchObject({ success: true, revision: 5n });
    expect(await set(['003'], 4n)).toMatchObject({ revision: 5n });
    expect(await set(['001', '001'], 6n)).toMatchObject({ success: false });
    expect(await set(['009'], 6n)).toMatchObject({ success: false });
    expect(gateway.context.sessions.zones().map(({ zoneId }) => zoneId)).toEqual(['001', '002']);
  });

  it('puts limits in force as a whole, and names the rule that bad ones break', async () => {
    const set = (limits: object) =>
      ask<SetOverloadLimitsRequest, SetOverloadLimitsResponse>(
        (request, done) => admin.setOverloadLimits(request, done),
        {
          limits: { ...gateway.context.protector.limits, ...limits },
        },
      );
    const good = await set({ maxQps: 5_000, qpsWarningThreshold: 4_000 });
    expect(good).toMatchObject({ success: true, limits: { maxQps: 5_000 } });
    const bad = await set({ maxQps: 100, qpsWarningThreshold: 200 });
    expect(bad).toMatchObject({ success: false, limits: { maxQps: 5_000 } });
    expect(bad.error?.message).toMatch(/qps_warning_threshold/);
  });

  it('lists sessions by page and kicks one with KICKED', async () => {
    const { connection } = gateway.start({ openid: 'alice', clientId: 'phone' });
    gateway.start({ openid: 'bob' });
    const list = (pageToken: string) =>
      ask<ListSessionsRequest, ListSessionsResponse>((request, done) => admin.listSessions(request, done), {
        openid: '',
        zoneId: '',
        pageSize: 1,
        pageToken,
      });
    const first = await list('');
    expect(first.sessions).toMatchObject([{ openid: 'alice', clientId: 'phone', state: 'inited', connected: true }]);
    expect((await list(first.nextPageToken)).sessions).toMatchObject([{ openid: 'bob' }]);
    await expect(list('nonsense')).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    const kick = { sessionId: '', openid: 'alice', reason: 'bye' };
    expect(await ask((request, done) => admin.kickSession(request, done), kick)).toMatchObject({ success: true });
    expect(gateway.closed.get(connection)?.code).toBe(ErrorCode.ERROR_KICKED);
    expect(await ask((request, done) => admin.kickSession(request, done), kick)).toMatchObject({ success: false });
  });
});
