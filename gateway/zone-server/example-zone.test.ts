import { credentials } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  PushOrder,
  PushStatus,
  UpstreamRequest,
  type UpstreamResponse,
  UpstreamServiceClient,
} from '../../proto/gen/upstream.ts';
import { silentLogger } from '../lib/log.ts';
import { ErrorCode } from '../protocol/error-codes.ts';
import { startExampleZone } from './example-zone.ts';
import { FakeGateway } from './fake-gateway.ts';

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(): Promise<{
  gateway: FakeGateway;
  ask: (action: string, data?: string) => Promise<UpstreamResponse>;
}> {
  const gateway = await FakeGateway.start();
  stops.push(() => gateway.stop());
  const zone = await startExampleZone({
    zoneId: '003',
    address: '127.0.0.1:0',
    gateways: [gateway.address],
    log: silentLogger,
  });
  stops.push(() => zone.stop(1_000));
  const client = new UpstreamServiceClient(zone.address, credentials.createInsecure());
  stops.push(() => client.close());
  let seq = 0;
  const ask = (action: string, data = ''): Promise<UpstreamResponse> => {
    seq += 1;
    const fields = { openid: 'alice', sessionId: 's1', zoneId: '003', clientSeqId: BigInt(seq) };
    const request = UpstreamRequest.fromPartial({ ...fields, action, data: Buffer.from(data) });
    return new Promise((resolve, reject) => {
      client.processRequest(request, (error, response) => (error ? reject(error) : resolve(response)));
    });
  };
  return { gateway, ask };
}

describe('the example zone', () => {
  it('answers hello, login and echo', async () => {
    const { ask } = await start();
    const answers = [await ask('hello'), await ask('login'), await ask('echo', 'hi 你好')];
    expect(answers.map(({ success }) => success)).toEqual([true, true, true]);
    expect(answers.map(({ data }) => data.toString())).toEqual([
      'hello alice from zone 003',
      'welcome alice',
      'hi 你好',
    ]);
  });

  it('push-me answers ok and pushes in order, after the response', async () => {
    const { gateway, ask } = await start();
    gateway.pushAnswer = ({ text }) =>
      text === 'push 2' && gateway.pushes.length === 2 ? 'break' : PushStatus.PUSH_STATUS_OK;
    expect((await ask('push-me', '3')).data.toString()).toBe('ok');
    await vi.waitFor(() => {
      expect(gateway.pushes.map(({ text }) => text)).toEqual(['push 1', 'push 2', 'push 2', 'push 3']);
    }, 5_000);
    expect(gateway.pushes[0]?.request).toMatchObject({
      openid: 'alice',
      sessionId: 's1',
      bindClientSeqId: 1n,
      order: PushOrder.PUSH_ORDER_AFTER_RESPONSE,
    });
  });

  it.each([
    ['dance', '', 'action: "dance"'],
    ['push-me', '', 'data: ""'],
    ['push-me', 'many', 'data: "many"'],
    ['push-me', '0', 'data: "0"'],
    ['push-me', '10001', 'data: "10001"'],
  ])('refuses %s %s', async (action, data, message) => {
    const { gateway, ask } = await start();
    const { success, error } = await ask(action, data);
    expect([success, error?.code]).toEqual([false, ErrorCode.ERROR_BAD_MESSAGE]);
    expect(error?.message).toContain(message);
    expect(gateway.pushes).toEqual([]);
  });
});
