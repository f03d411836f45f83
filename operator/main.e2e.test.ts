import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { KubeObject } from './kube-api.ts';
import { main } from './main.ts';
import { leases } from './resources.ts';
import { FakeApiServer } from './testing/fake-api-server.ts';

type Lease = KubeObject & { readonly spec: { readonly holderIdentity: string } };

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function apiServer() {
  const server = new FakeApiServer();
  await server.listen();
  closers.push(() => server.close());
  const folder = mkdtempSync(join(tmpdir(), 'gatesvr-operator-'));
  closers.push(() => rmSync(folder, { recursive: true }));
  const kubeconfig = join(folder, 'config');
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u', namespace: 'ops' } }],
      clusters: [{ name: 'c', cluster: { server: server.url.href } }],
      users: [{ name: 'u', user: {} }],
    }),
  );
  const holder = (): string => server.store.get<Lease>(leases, 'ops', 'gatesvr-operator')?.spec.holderIdentity ?? '';
  return { server, kubeconfig, holder };
}

async function start(kubeconfig: string, podName: string) {
  const [health, metrics] = [await freePort(), await freePort()];
  const flags = ['--health-addr', `127.0.0.1:${health}`, '--metrics-addr', `127.0.0.1:${metrics}`];
  const child: ChildProcess = spawn(
    process.execPath,
    ['gateway/cli/gatesvr.ts', 'operator', '--kubeconfig', kubeconfig, ...flags],
    { env: { ...process.env, POD_NAME: podName, POD_NAMESPACE: '' }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  closers.push(() => {
    child.kill('SIGKILL');
  });
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const get = async (port: number, path: string): Promise<{ status: number; text: string }> => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      return { status: answer.status, text: await answer.text() };
    } catch {
      return { status: 0, text: '' };
    }
  };
  const readyCode = async () => (await get(health, '/readyz')).status;
  const metricsText = async () => (await get(metrics, '/metrics')).text;
  return {
    child,
    exited,
    readyCode,
    healthCode: async () => (await get(health, '/healthz')).status,
    metricsText,
    output: () => output,
  };
}

const patience = { timeout: 30_000 };

describe('the operator as a process', () => {
  it('leads, reports, and gives leadership back on SIGTERM', async () => {
    const { kubeconfig, holder } = await apiServer();
    const operator = await start(kubeconfig, 'one');
    await expect.poll(operator.readyCode, patience).toBe(200);
    await expect.poll(holder, patience).toMatch(/^one_[0-9a-f-]{36}$/);
    expect(await operator.healthCode()).toBe(200);
    const text = await operator.metricsText();
    expect(text).toContain('leader_election_master_status{name="gatesvr-operator"} 1');
    expect(text).toMatch(/rest_client_requests_total\{code="200",method="GET",host="127\.0\.0\.1:\d+"\} /);
    operator.child.kill('SIGTERM');
    expect(await operator.exited).toBe(0);
    expect(holder()).toBe('');
    const lines = operator.output().trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).level)).not.toContain('error');
  });

  it('is one of two: the other waits ready, and takes over when the first is gone', async () => {
    const { kubeconfig, holder } = await apiServer();
    const one = await start(kubeconfig, 'one');
    await expect.poll(holder, patience).toMatch(/^one_/);
    const two = await start(kubeconfig, 'two');
    await expect.poll(two.readyCode, patience).toBe(200);
    expect(await two.metricsText()).toContain('leader_election_master_status{name="gatesvr-operator"} 0');
    one.child.kill('SIGTERM');
    expect(await one.exited).toBe(0);
    await expect.poll(holder, patience).toMatch(/^two_/);
  });

  it('ends with code 1 when it has lost leadership', async () => {
    const { kubeconfig, holder, server } = await apiServer();
    const operator = await start(kubeconfig, 'one');
    await expect.poll(holder, patience).toMatch(/^one_/);
    server.store.patch(leases, 'ops', 'gatesvr-operator', { spec: { holderIdentity: 'usurper' } });
    expect(await operator.exited).toBe(1);
    expect(holder()).toBe('usurper');
    expect(operator.output()).toContain('lost leadership');
  });

  it('says what is wrong with its flags and its kubeconfig', async () => {
    const written: unknown[] = [];
    const spy = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(text) > 0);
    closers.push(() => spy.mockRestore());
    expect(await main(['--workers=0'])).toBe(2);
    expect(await main(['--kubeconfig=/nowhere'])).toBe(2);
    expect(written).toEqual([
      'gatesvr operator: --workers: 0: expected a number from 1 to 256\n',
      expect.stringMatching(/^gatesvr operator: \/nowhere: ENOENT/),
    ]);
  });
});
