import { Network, type StartedNetwork, type StartedTestContainer } from 'testcontainers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gatesvr, startGateway, startRedis, startZone } from './gateway-container.ts';
import { openDirectory } from './redis-client.ts';

const started: StartedTestContainer[] = [];
let network: StartedNetwork;
let gateway: StartedTestContainer;

async function keep(starting: Promise<StartedTestContainer>): Promise<StartedTestContainer> {
  const container = await starting;
  started.push(container);
  return container;
}

beforeAll(async () => {
  network = await new Network().start();
});

afterAll(async () => {
  for (const container of started.reverse()) await container.stop();
  await network?.stop();
});

describe('the image of the gateway', () => {
  beforeAll(async () => {
    const flags = ['--dev', '--grpc-plaintext', '--upstream-zone-count=1', '--upstream-health-interval=200ms'];
    gateway = await keep(startGateway(network, 'gateway', flags));
    await keep(startZone(network, '001', ['gateway:8092']));
  });

  it('runs as nobody, can write nothing, and has no tools of development', async () => {
    const script = `const fs = require('node:fs');
      const there = (path) => fs.existsSync('/app/' + path);
      const writable = ['/app', '/etc', '/'].filter((path) => { try { fs.mkdtempSync(path + '/x'); return true; } catch { return false; } });
      console.log(JSON.stringify({ uid: process.getuid(), gid: process.getgid(), writable,
        unwanted: ['node', 'typescript', 'vitest', '@matrixai'].filter((name) => there('node_modules/' + name)),
        sbom: JSON.parse(fs.readFileSync('/app/sbom.cdx.json', 'utf8')).components.length > 100 }));`;
    const { output } = await gateway.exec(['/usr/local/bin/node', '-e', script]);
    expect(JSON.parse(output)).toEqual({ uid: 65532, gid: 65532, writable: [], unwanted: [], sbom: true });
  });

  it('finds itself healthy by the command that it has for it', async () => {
    const health = [
      '/usr/local/bin/node',
      '-e',
      "fetch('http://127.0.0.1:8080/health').then((a) => process.exit(a.ok ? 0 : 1))",
    ];
    expect((await gateway.exec(health)).exitCode).toBe(0);
  });

  it('carries a request to a zone in another container, and its pushes back', async () => {
    const client = ['client', '--openid', 'alice', '--insecure'];
    const echo = () => gatesvr(gateway, [...client, '--action', 'echo', '--data', 'hi']);
    await expect.poll(() => echo().catch((error) => String(error)), { timeout: 20_000 }).toBe('hi');
    expect(await gatesvr(gateway, ['admin', 'status', '--gateway', 'localhost:8092'])).toContain('ready');
  });
});

describe('the directory in Redis', () => {
  let redis: StartedTestContainer;

  beforeAll(async () => {
    redis = await keep(startRedis(network));
  });

  const placement = { openid: 'alice', sessionId: 's1', pairId: 'p0', epoch: 1, generation: 0, createTimeMs: 1 };

  it('says where a session is, and that a newer login won', async () => {
    const directory = await openDirectory(redis, 'p0');
    const first = await directory.claim(placement, true);
    expect(first).toEqual({ kind: 'held', generation: 1 });
    const other = { ...placement, sessionId: 's2', pairId: 'p1' };
    expect(await directory.claim(other, true)).toEqual({ kind: 'held', generation: 2 });
    expect(await directory.claim({ ...placement, generation: 1 }, false)).toEqual({ kind: 'superseded', pairId: 'p1' });
    expect(await directory.find(['alice', 'bob'])).toEqual(new Map([['alice', 'p1']]));
    directory.close();
  });

  it('asks for everything to be said again when Redis forgot it', async () => {
    const directory = await openDirectory(redis, 'p0');
    await directory.check();
    let lost = 0;
    directory.onLost(() => {
      lost += 1;
    });
    await directory.check();
    expect(lost).toBe(0);
    await redis.exec(['redis-cli', 'FLUSHALL']);
    expect(await directory.find(['alice'])).toEqual(new Map());
    await directory.check();
    expect(lost).toBe(1);
    directory.close();
  });
});
