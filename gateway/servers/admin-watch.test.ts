import { Writable } from 'node:stream';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { GatewayStatus, WatchRequest } from '../../proto/gen/admin.ts';
import type { GatewayControl } from '../handlers/control.ts';
import { gatewayStatus } from '../handlers/status.ts';
import { HandlerHarness } from '../testing/handler-harness.ts';
import { adminService } from './admin-service.ts';

const identity = { serverId: 'gate-test', version: '0.0.0', podUid: 'uid-1' };

let gateway: HandlerHarness;
let listeners: Set<() => void>;
let shutdown: Set<() => void>;
let sent: GatewayStatus[];
/** Lets one message through, while the reader lags. */
let take: (() => void) | undefined;
let lags: boolean;
let stream: Writable & { request?: WatchRequest };

beforeEach(() => {
  vi.useFakeTimers();
  gateway = new HandlerHarness();
  [listeners, shutdown, sent, lags, take] = [new Set(), new Set(), [], false, undefined];
  const subscribed = (to: Set<() => void>) => (listener: () => void) => {
    to.add(listener);
    return () => to.delete(listener);
  };
  const refused = () => Promise.resolve({ success: false, error: undefined, epoch: 0n });
  const control: GatewayControl = {
    status: () => gatewayStatus(gateway.context, identity, true, false),
    promote: refused,
    demote: refused,
    drain: () => 0,
    onChange: subscribed(listeners),
    onShutdown: subscribed(shutdown),
  };
  stream = new Writable({
    objectMode: true,
    highWaterMark: 1,
    write: (status, _encoding, done) => {
      sent.push(status);
      if (lags) take = done;
      else done();
    },
  });
  stream.request = { intervalMs: 100 };
  adminService(gateway.context, control).watch(stream as ServerWritableStream<WatchRequest, GatewayStatus>);
});

afterEach(() => {
  stream.destroy();
  vi.useRealTimers();
});

const turn = () => vi.advanceTimersByTimeAsync(0);

function change(): void {
  for (const listener of listeners) listener();
}

it('sends the status at once and at each interval', async () => {
  expect(sent).toMatchObject([{ serverId: 'gate-test', podUid: 'uid-1', ready: true, sessions: 0 }]);
  await vi.advanceTimersByTimeAsync(250);
  expect(sent).toHaveLength(3);
});

it('sends what changed in the same turn, and several changes of it as one', async () => {
  gateway.start({ openid: 'alice' });
  change();
  change();
  await turn();
  expect(sent).toMatchObject([{ sessions: 0 }, { sessions: 1 }]);
  change();
  await turn();
  expect(sent).toHaveLength(3);
});

it('keeps nothing for a reader that lags, and tells it the latest when it reads again', async () => {
  lags = true;
  await vi.advanceTimersByTimeAsync(100);
  gateway.start({ openid: 'alice' });
  change();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(sent).toHaveLength(2);
  lags = false;
  take?.();
  await turn();
  expect(sent).toMatchObject([{ sessions: 0 }, { sessions: 0 }, { sessions: 1 }]);
});

it('ends in good order when the gateway stops, and is forgotten', async () => {
  for (const listener of shutdown) listener();
  await turn();
  expect([stream.writableFinished, listeners.size, shutdown.size]).toEqual([true, 0, 0]);
});
