import { credentials, Metadata, status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type ExchangeResponse,
  UpstreamRequest,
  type UpstreamResponse,
  UpstreamServiceClient,
} from '../../proto/gen/upstream.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { FakeGateway } from './fake-gateway.ts';
import { ZoneListenError, ZoneOptionsError, ZoneServer, type ZoneServerOptions } from './zone-server.ts';

const started: { zones: ZoneServer[]; gateways: FakeGateway[]; clients: UpstreamServiceClient[] } = {
  zones: [],
  gateways: [],
  clients: [],
};

afterEach(async () => {
  for (const client of started.clients.splice(0)) client.close();
  await Promise.all(started.zones.splice(0).map((zone) => zone.stop(0)));
  for (const gateway of started.gateways.splice(0)) gateway.stop();
});

async function newGateway(): Promise<FakeGateway> {
  const gateway = await FakeGateway.start();
  started.gateways.push(gateway);
  return gateway;
}

async function newZone(options: Partial<ZoneServerOptions> = {}): Promise<ZoneServer> {
  const zone = new ZoneServer({
    zoneId: '001',
    address: '127.0.0.1:0',
    gateways: [],
    handler: ({ data }) => ({ data }),
    ...options,
  });
  started.zones.push(zone);
  await zone.start();
  return zone;
}

function clientOf(zone: ZoneServer): UpstreamServiceClient {
  const client = new UpstreamServiceClient(zone.address, credentials.createInsecure());
  started.clients.push(client);
  return client;
}

function request(clientSeqId: number, extra: Partial<UpstreamRequest> = {}): UpstreamRequest {
  const base = { openid: 'alice', sessionId: 's1', zoneId: '001', action: 'echo', data: Buffer.from(`${clientSeqId}`) };
  return UpstreamRequest.fromPartial({ ...base, clientSeqId: BigInt(clientSeqId), ...extra });
}

function process(client: UpstreamServiceClient, sent: UpstreamRequest): Promise<UpstreamResponse> {
  return new Promise((resolve, reject) => {
    client.processRequest(sent, new Metadata(), {}, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

/** Sends one batch over Exchange and gathers messages until every request has its response. */
async function exchange(client: UpstreamServiceClient, requests: UpstreamRequest[]): Promise<ExchangeResponse[]> {
  const call = client.exchange();
  const messages: ExchangeResponse[] = [];
  call.write({ requests });
  let left = requests.length;
  for await (const message of call) {
    messages.push(message as ExchangeResponse);
    left -= (message as ExchangeResponse).responses.length;
    if (left === 0) break;
  }
  call.cancel();
  return messages;
}

describe('serving', () => {
  it('answers ProcessRequest', async () => {
    const zone = await newZone({ handler: ({ openid, headers }) => ({ data: `hi ${openid}`, headers }) });
    const response = await process(clientOf(zone), request(1, { headers: { lang: 'zh' } }));
    expect(response).toMatchObject({ success: true, zoneId: '001', headers: { lang: 'zh' } });
    expect(response.data.toString()).toBe('hi alice');
  });

  it('answers Exchange in batches: what is ready together leaves together', async () => {
    const zone = await newZone({ handler: async ({ data }) => ({ data }) });
    const requests = [1, 2, 3].map((seq) => request(seq, { requestId: BigInt(100 + seq) }));
    const messages = await exchange(clientOf(zone), requests);
    expect(messages).toHaveLength(1);
    expect(messages[0]?.responses.map(({ requestId, data }) => [requestId, data.toString()])).toEqual([
      [101n, '1'],
      [102n, '2'],
      [103n, '3'],
    ]);
  });

  it('answers in the order in which handlers finish', async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const handler: ZoneServerOptions['handler'] = async ({ clientSeqId, data }) => {
      if (clientSeqId === 1) await gate;
      else setTimeout(release, 5);
      return { data };
    };
    const zone = await newZone({ handler });
    const requests = [1, 2].map((seq) => request(seq, { requestId: BigInt(seq) }));
    const messages = await exchange(clientOf(zone), requests);
    expect(messages.flatMap(({ responses }) => responses.map(({ requestId }) => requestId))).toEqual([2n, 1n]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no such item');
      },
      'no such item',
    ],
    ['rejects', () => Promise.reject(new Error('no such item')), 'no such item'],
    ['answers nothing', () => undefined as never, 'undefined'],
  ])('turns a handler that %s into an unsuccessful response', async (_name, handler, message) => {
    const response = await process(clientOf(await newZone({ handler })), request(1));
    expect(response.success).toBe(false);
    expect(response.error?.code).toBe(ErrorCode.ERROR_ZONE_FAILED);
    expect(response.error?.message).toContain(message);
  });

  it('gives a repeat the same answer, and lets one that runs be joined', async () => {
    let runs = 0;
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const handler: ZoneServerOptions['handler'] = async () => {
      runs += 1;
      await gate;
      return { data: `run ${runs}` };
    };
    const client = clientOf(await newZone({ handler }));
    const both = Promise.all([process(client, request(7)), process(client, request(7))]);
    await vi.waitFor(() => expect(runs).toBe(1));
    release();
    const answers = [...(await both), await process(client, request(7))];
    expect(answers.map(({ data }) => data.toString())).toEqual(['run 1', 'run 1', 'run 1']);
    expect((await process(client, request(8))).data.toString()).toBe('run 2');
    expect((await process(client, request(7, { sessionId: 's2' }))).data.toString()).toBe('run 3');
  });

  it('refuses another zone and a lower epoch', async () => {
    const client = clientOf(await newZone());
    const place = { shardId: 'p0', history: 'h' };
    expect((await process(client, request(1, { ...place, epoch: 5n }))).success).toBe(true);
    const fenced = await process(client, request(2, { ...place, epoch: 4n }));
    expect(fenced.error?.code).toBe(ErrorCode.ERROR_FENCED);
    expect((await process(client, request(3, { ...place, history: 'other', epoch: 4n }))).success).toBe(true);
    const foreign = await process(client, request(4, { zoneId: '002' }));
    expect(foreign.error?.code).toBe(ErrorCode.ERROR_ZONE_UNAVAILABLE);
  });

  it('carries 64 KiB both ways', async () => {
    const data = Buffer.alloc(65_536, 'x');
    const messages = await exchange(clientOf(await newZone()), [request(1, { data, requestId: 1n })]);
    expect(messages[0]?.responses[0]?.data.equals(data)).toBe(true);
  });
});

describe('stopping', () => {
  it('answers what is under way and turns new requests away', async () => {
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const handler: ZoneServerOptions['handler'] = async ({ action, data }) => {
      if (action === 'slow') await gate;
      return { data };
    };
    const gateway = await newGateway();
    const zone = await newZone({ handler, gateways: [gateway.address] });
    await zone.whenRegistered();
    const client = clientOf(zone);
    const slow = process(client, request(1, { action: 'slow' }));
    await process(client, request(2));
    const stopped = zone.stop(5_000);
    await vi.waitFor(() => expect(gateway.left).toHaveLength(1));
    await vi.waitFor(async () => {
      const turned = await process(client, request(3));
      expect(turned.error?.code).toBe(ErrorCode.ERROR_ZONE_UNAVAILABLE);
    });
    expect((await process(client, request(2))).success).toBe(true);
    release();
    expect((await slow).success).toBe(true);
    await stopped;
    await expect(process(client, request(4))).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });
});

describe('starting', () => {
  it('says which address it cannot have', async () => {
    const first = await newZone();
    const second = newZone({ address: first.address });
    await expect(second).rejects.toThrow(ZoneListenError);
    await expect(second).rejects.toThrow(first.address);
  });

  it.each([
    [{ zoneId: '1' }, 'zoneId: "1"'],
    [{ address: 'nowhere' }, 'address: "nowhere"'],
    [{ address: ':9001' }, 'advertiseAddress'],
    [{ gateways: ['x'] }, 'gateways: "x"'],
    [{ weight: 0 }, 'weight: 0'],
  ])('refuses %o', async (options, message) => {
    await expect(newZone(options)).rejects.toThrow(ZoneOptionsError);
    await expect(newZone(options)).rejects.toThrow(message);
  });
});

describe('registration', () => {
  it('goes to every gateway, again and again within the lease', async () => {
    const gateways = [await newGateway(), await newGateway()];
    for (const gateway of gateways) gateway.registerAnswer = () => ({ success: true, leaseMs: 150 });
    const addresses = gateways.map(({ address }) => address);
    const zone = await newZone({ gateways: addresses, weight: 7, instanceId: 'one', zoneId: '004' });
    for (const gateway of gateways) {
      await vi.waitFor(() => expect(gateway.registrations.length).toBeGreaterThan(3), 5_000);
      expect(gateway.registrations[0]).toEqual({
        zoneId: '004',
        address: zone.address,
        instanceId: 'one',
        weight: 7,
      });
    }
    await zone.stop(1_000);
    for (const gateway of gateways) expect(gateway.left).toHaveLength(1);
  });

  it('follows the endpoints of a gateway that is not primary', async () => {
    const [backup, primary] = [await newGateway(), await newGateway()];
    backup.registerAnswer = () => ({
      success: false,
      error: { code: ErrorCode.ERROR_NOT_PRIMARY, message: 'backup', retryAfterMs: 0, redirect: '' },
      endpoints: [primary.address],
    });
    const zone = await newZone({ gateways: [backup.address] });
    await zone.whenRegistered();
    expect(primary.registrations).toHaveLength(1);
    await zone.push('alice', 'hi');
    expect([backup.pushes.length, primary.pushes.length]).toEqual([0, 1]);
  });

  it('outlives a gateway that is away for a while', async () => {
    const gateway = await newGateway();
    gateway.registerAnswer = () => ({ success: true, leaseMs: 150 });
    const zone = await newZone({ gateways: [gateway.address] });
    await zone.whenRegistered();
    gateway.stop();
    await vi.waitFor(() => expect(zone.registered).toBe(false), 10_000);
    const again = await FakeGateway.start(gateway.port);
    started.gateways.push(again);
    await vi.waitFor(() => expect(zone.registered).toBe(true), 10_000);
    expect(again.registrations.length).toBeGreaterThan(0);
  });
});
