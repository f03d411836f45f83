import { describe, expect, it } from 'vitest';
import { ErrorCode } from '../../proto/gen/message.ts';
import {
  type ClientOptions,
  type ConnectOptions,
  createClientHub,
  GatesvrClient,
  RequestError,
  type StateDetail,
} from './client.ts';
import { ClientHub } from './client-hub.ts';
import { FakeTransport } from './testing/fake-transport.ts';

interface Setup {
  readonly transport: () => FakeTransport;
  readonly options: ConnectOptions;
}

function setup(more: Partial<ClientOptions> = {}, prepare: (fake: FakeTransport) => void = () => {}): Setup {
  let made: FakeTransport | undefined;
  const options: ConnectOptions = {
    endpoints: ['127.0.0.1:1'],
    openid: 'alice',
    trust: { insecure: true },
    openTransport: (_options, listener) => {
      made = new FakeTransport(listener);
      prepare(made);
      return made;
    },
    backoffBaseMs: 5,
    ...more,
  };
  return {
    options,
    transport: () => {
      if (made === undefined) throw new Error('no transport yet');
      return made;
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 5 s: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Lets the zone answer everything that is asked. */
function answering(transport: FakeTransport): () => void {
  const timer = setInterval(() => {
    transport.gateway.answer(transport.line?.connection);
    transport.move();
  }, 1);
  return () => clearInterval(timer);
}

describe('a client', () => {
  it('connects, asks, is answered, closes with STOP and takes its transport down', async () => {
    const { options, transport } = setup();
    const client = await GatesvrClient.connect(options);
    const stop = answering(transport());
    expect(client.state).toBe('connected');
    expect(client.sessionId).toBe('session-1');
    expect(Buffer.from(await client.request('echo', 'hi')).toString()).toBe('re:hi');
    const { info } = await client.requestWithInfo('echo', Buffer.from('ho'));
    expect(info.seqId).toBe(2);
    await client.close();
    stop();
    expect(client.state).toBe('closed');
    expect(transport().gateway.sessions.size).toBe(0);
    expect(transport().shutDown).toBe(true);
    await expect(client.request('echo')).rejects.toMatchObject({ codeName: 'CLOSED', outcome: 'refused' });
    await expect(client.closed).resolves.toBeUndefined();
  });

  it('keeps its promises across a lost connection', async () => {
    const { options, transport } = setup();
    const client = await GatesvrClient.connect(options);
    const states: [string, StateDetail][] = [];
    client.onStateChange((state, detail) => states.push([state, detail]));
    const answer = client.request('echo', 'hi');
    await until(() => transport().gateway.executions.size === 1);
    transport().cut();
    await until(() => client.state === 'connected');
    const stop = answering(transport());
    expect(Buffer.from(await answer).toString()).toBe('re:hi');
    expect(transport().gateway.executions.get('hi')).toBe(1);
    expect(states.map(([state]) => state)).toEqual(['reconnecting', 'connected']);
    expect(states[1]?.[1]).toMatchObject({ resumed: true, endpoint: '127.0.0.1:1' });
    await client.close();
    stop();
  });

  it('tells of a response before the push behind it, and in numbers', async () => {
    const { options, transport } = setup();
    const client = await GatesvrClient.connect(options);
    const told: string[] = [];
    client.onPush((data, info) => told.push(`push ${info.seqId} ${Buffer.from(data)}`));
    const asked = ['a', 'b'].map(async (data) => told.push(`response ${Buffer.from(await client.request('x', data))}`));
    await until(() => transport().gateway.executions.size === 2);
    const { gateway, line } = transport();
    gateway.push(line?.connection, 'one');
    gateway.answer(line?.connection);
    gateway.push(line?.connection, 'two');
    gateway.answer(line?.connection);
    gateway.push(line?.connection, 'three');
    transport().move();
    await Promise.all(asked);
    await until(() => told.length === 5);
    expect(told).toEqual(['push 1 one', 'response re:a', 'push 3 two', 'response re:b', 'push 5 three']);
    await client.close();
  });

  it('holds pushes back until whoever waits for connect can register', async () => {
    const { options } = setup({}, ({ gateway }) => {
      gateway.greeting = 'early';
    });
    const seen: string[] = [];
    const client = await GatesvrClient.connect(options);
    client.onPush((data) => seen.push(Buffer.from(data).toString()));
    await until(() => seen.length === 1);
    expect(seen).toEqual(['early']);
    await client.close();
  });

  it('survives a handler that throws', async () => {
    const warnings: Error[] = [];
    const seen: number[] = [];
    const { options, transport } = setup({
      onWarning: (error) => warnings.push(error),
      onPush: (_data, { seqId }) => {
        seen.push(seqId);
        throw new Error('mistake');
      },
    });
    const client = await GatesvrClient.connect(options);
    for (const text of ['one', 'two']) transport().gateway.push(transport().line?.connection, text);
    transport().move();
    await until(() => seen.length === 2);
    expect(warnings.map(({ message }) => message)).toEqual(['mistake', 'mistake']);
    await client.close();
  });

  it('stops sending while the transport is full', async () => {
    const { options, transport } = setup();
    const client = await GatesvrClient.connect(options);
    transport().full = true;
    const first = client.request('echo', 'one');
    await until(() => transport().gateway.executions.has('one'));
    const second = client.request('echo', 'two');
    await new Promise((resolve) => setImmediate(resolve));
    expect(transport().gateway.executions.has('two')).toBe(false);
    transport().drained();
    const stop = answering(transport());
    await Promise.all([first, second]);
    await client.close();
    stop();
  });

  it('sends what one turn asked for with one flush', async () => {
    const { options, transport } = setup();
    const client = await GatesvrClient.connect(options);
    const before = transport().flushes;
    const all = Array.from({ length: 20 }, (_, i) => client.request('echo', `${i}`));
    await until(() => transport().gateway.executions.size === 20);
    expect(transport().flushes - before).toBeLessThanOrEqual(3);
    const stop = answering(transport());
    await Promise.all(all);
    await client.close();
    stop();
  });

  it('rejects with the typed error of a refusal', async () => {
    const { options, transport } = setup();
    const client = await GatesvrClient.connect(options);
    transport().gateway.refusals.push(ErrorCode.ERROR_ZONE_UNAVAILABLE);
    const failure = await client.request('echo', 'hi', { retry: false }).catch((error) => error);
    expect(failure).toBeInstanceOf(RequestError);
    await expect(client.request('echo', 'hi', { timeoutMs: Number.NaN })).rejects.toThrow('timeoutMs: NaN: expected');
    expect(failure).toMatchObject({ code: 1005, codeName: 'ZONE_UNAVAILABLE', outcome: 'refused', retryAfterMs: 100 });
    await client.close();
  });
});

describe('connecting', () => {
  it('fails with code 0 when nobody answers, and takes its transport down', async () => {
    const { options, transport } = setup({ connectDeadlineMs: 50 }, ({ refusing }) => refusing.add('127.0.0.1'));
    const connecting = GatesvrClient.connect(options);
    await expect(connecting).rejects.toMatchObject({ name: 'ConnectError', code: 0, codeName: 'CONNECT_FAILED' });
    expect(transport().shutDown).toBe(true);
  });

  it('tries the next address of a name when the first one is silent', async () => {
    let fake: FakeTransport | undefined;
    const hub = await ClientHub.open(
      (_options, listener) => {
        fake = new FakeTransport(listener);
        fake.silent.add('::1');
        return fake;
      },
      {} as Parameters<typeof ClientHub.open>[1],
      { nowMs: () => performance.now(), wallMs: () => 0 },
      async () => ['::1', '127.0.0.1'],
    );
    const client = await GatesvrClient.connectThrough(hub, { endpoints: ['somewhere:7'], openid: 'alice' });
    expect(fake?.connects).toEqual([
      { host: '::1', port: 7, serverName: 'somewhere' },
      { host: '127.0.0.1', port: 7, serverName: 'somewhere' },
    ]);
    expect(fake?.closes).toMatchObject([{ connection: 1 }]);
    await client.close();
    await hub.shutdown(0);
  });

  it('asks the token function again after it failed', async () => {
    let asked = 0;
    const { options } = setup({
      token: async () => {
        asked += 1;
        if (asked === 1) throw new Error('not yet');
        return 'good';
      },
    });
    const client = await GatesvrClient.connect(options);
    expect(asked).toBe(2);
    await client.close();
  });

  it.each([
    ['endpoints', { endpoints: [] }],
    ['openid', { openid: '' }],
    ['openid', { openid: 'x'.repeat(129) }],
    ['ackMessages', { ackMessages: 0 }],
    ['openRequestsMax', { openRequestsMax: 65 }],
  ])('names the wrong option %s', async (name, wrong) => {
    await expect(GatesvrClient.connect({ ...setup().options, ...wrong })).rejects.toThrow(new RegExp(`^${name}: `));
  });
});

describe('a hub', () => {
  it('serves many clients over one transport, each with its own session', async () => {
    const { options, transport } = setup();
    const hub = await createClientHub(options);
    const names = Array.from({ length: 50 }, (_, i) => `user-${i}`);
    const clients = await Promise.all(
      names.map((openid) => hub.connect({ endpoints: options.endpoints, openid, onPush: () => {} })),
    );
    expect(new Set(clients.map(({ sessionId }) => sessionId)).size).toBe(50);
    expect(transport().lines.size).toBe(50);
    hub.rebind();
    expect(transport().rebinds).toBe(1);
    await Promise.all(clients.map((client) => client.close()));
    expect(transport().gateway.sessions.size).toBe(0);
    expect(transport().shutDown).toBe(false);
    const left = await hub.connect({ endpoints: options.endpoints, openid: 'left' });
    const asked = left.request('echo');
    await Promise.all([hub.shutdown(), expect(asked).rejects.toMatchObject({ codeName: 'CLOSED' })]);
    expect(left.state).toBe('closed');
    expect(transport().shutDown).toBe(true);
  });
});
