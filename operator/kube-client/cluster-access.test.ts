import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { afterEach, describe, expect, it } from 'vitest';
import type { Clock } from '../lib/clock.ts';
import { configMaps } from '../resources.ts';
import { FakeApiServer } from '../testing/fake-api-server.ts';
import type { AccessEnvironment, ClusterAccess } from './cluster-access.ts';
import { findCluster } from './find-cluster.ts';
import { HttpKubeClient } from './http-kube-client.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Files by path; each reading is counted. */
function environmentOf(files: Record<string, string>, env: Record<string, string> = {}) {
  let nowMs = 0;
  const reads: string[] = [];
  const environment: AccessEnvironment = {
    env,
    nowMs: () => nowMs,
    readFile: (path) => {
      reads.push(path);
      const text = files[path];
      if (text === undefined) throw new Error('ENOENT: no such file or directory');
      return Buffer.from(text);
    },
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { environment, files, reads, pass };
}

const kubeconfig = ({ user = '{ token: secret }', cluster = '{ server: https://one:6443/ }' } = {}): string => `
current-context: here
contexts:
  - { name: here, context: { cluster: one, user: me, namespace: games } }
  - { name: lost, context: { cluster: nowhere, user: me } }
clusters: [{ name: one, cluster: ${cluster} }]
users: [{ name: me, user: ${user} }]
`;

describe('where the cluster is', () => {
  const mounted = '/var/run/secrets/kubernetes.io/serviceaccount';
  const inPod = { [`${mounted}/token`]: 't1\n', [`${mounted}/ca.crt`]: 'CA', [`${mounted}/namespace`]: 'ops\n' };
  const podEnv = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };

  it.each([
    { name: 'the flag', flag: '/flag', env: { ...podEnv, KUBECONFIG: '/env' }, expected: 'flag' },
    { name: 'KUBECONFIG', flag: undefined, env: { ...podEnv, KUBECONFIG: '/env' }, expected: 'env' },
    { name: 'the service account', flag: undefined, env: { ...podEnv, HOME: '/home' }, expected: '[fd00::1]' },
    { name: 'the home folder', flag: undefined, env: { HOME: '/home' }, expected: 'home' },
  ])('is found by $name', ({ flag, env, expected }) => {
    const file = (host: string): string => kubeconfig({ cluster: `{ server: "https://${host}:6443" }` });
    const files = { '/flag': file('flag'), '/env': file('env'), '/home/.kube/config': file('home'), ...inPod };
    const access = findCluster({ kubeconfig: flag, context: undefined }, environmentOf(files, env).environment);
    expect(access.server.hostname).toBe(expected);
  });

  it('is reached with the token of the moment', async () => {
    const { environment, files, pass } = environmentOf({ ...inPod }, podEnv);
    const access = findCluster({}, environment);
    const header = async () => (await access.connection()).headers['authorization'];
    expect(access.namespace).toBe('ops');
    expect(await header()).toBe('Bearer t1');
    files[`${mounted}/token`] = 't2';
    expect(await header()).toBe('Bearer t1');
    pass(60_000);
    expect(await header()).toBe('Bearer t2');
    files[`${mounted}/token`] = 't3';
    access.refused();
    expect(await header()).toBe('Bearer t3');
    delete files[`${mounted}/token`];
    pass(60_000);
    expect(await header()).toBe('Bearer t3');
  });
});

describe('a kubeconfig', () => {
  const accessOf = (text: string, files: Record<string, string> = {}): ClusterAccess =>
    findCluster({ kubeconfig: '/k/config' }, environmentOf({ '/k/config': text, ...files }).environment);

  it.each([
    { name: 'a token', user: '{ token: secret }', headers: { authorization: 'Bearer secret' } },
    { name: 'a token file', user: '{ tokenFile: /k/token }', headers: { authorization: 'Bearer filed' } },
    { name: 'a password', user: '{ username: u, password: p }', headers: { authorization: 'Basic dTpw' } },
    { name: 'impersonation', user: '{ as: other }', headers: { 'impersonate-user': 'other' } },
  ])('gives $name', async ({ user, headers }) => {
    const access = accessOf(kubeconfig({ user }), { '/k/token': 'filed\n' });
    expect((await access.connection()).headers).toEqual(headers);
    expect(access.namespace).toBe('games');
  });

  it('gives certificates, from files beside it too', async () => {
    const user = '{ client-certificate: me.crt, client-key-data: S0VZ }';
    const cluster = '{ server: "https://one:6443", certificate-authority-data: Q0E=, tls-server-name: api }';
    const access = accessOf(kubeconfig({ user, cluster }), { '/k/me.crt': 'CERT' });
    const { tls } = await access.connection();
    const text = Object.fromEntries(Object.entries(tls).map(([name, value]) => [name, String(value)]));
    expect(text).toEqual({ ca: 'CA', cert: 'CERT', key: 'KEY', servername: 'api' });
  });

  it('asks its credential plugin, and again after a refusal', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatesvr-exec-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    const credential = { kind: 'ExecCredential', status: { token: 'one' } };
    const file = join(folder, 'credential.json');
    writeFileSync(file, JSON.stringify(credential));
    const access = accessOf(kubeconfig({ user: `{ exec: { command: cat, args: ["${file}"] } }` }));
    expect((await access.connection()).headers).toEqual({ authorization: 'Bearer one' });
    writeFileSync(file, JSON.stringify({ ...credential, status: { token: 'two' } }));
    expect((await access.connection()).headers).toEqual({ authorization: 'Bearer one' });
    access.refused();
    expect((await access.connection()).headers).toEqual({ authorization: 'Bearer two' });
    rmSync(file);
    access.refused();
    await expect(access.connection()).rejects.toThrow(/^cat: cat: .*No such file/);
  });

  it.each([
    [': [', /^\/k\/config: .*/],
    ['contexts: []', '/k/config: context: none: expected some'],
    [
      kubeconfig().replace('current-context: here', 'current-context: gone'),
      '/k/config: context: gone: expected here, lost',
    ],
    [
      kubeconfig().replace('current-context: here', 'current-context: lost'),
      '/k/config: cluster: nowhere: expected one',
    ],
    [kubeconfig({ cluster: '{}' }), '/k/config: clusters[0].cluster.server is missing'],
    [
      kubeconfig({ cluster: '{ server: "https://one", proxy-url: "http://p" }' }),
      '/k/config: one: proxy-url: not supported',
    ],
    [
      kubeconfig({ user: '{ auth-provider: { name: oidc } }' }),
      '/k/config: me: auth-provider (use exec): not supported',
    ],
    [
      kubeconfig({ user: '{ client-certificate: gone }' }),
      '/k/gone: cannot be read: ENOENT: no such file or directory',
    ],
  ])('%j is refused with its place', (text, message) => {
    expect(() => accessOf(text)).toThrow(message);
  });

  it('takes the first of several that says something', () => {
    const files = { '/a': 'current-context: here', '/b': kubeconfig() };
    const access = findCluster({ kubeconfig: '/a:/b' }, environmentOf(files).environment);
    expect(access.server.host).toBe('one:6443');
  });
});

describe('certificates that change while it runs', () => {
  it('are taken up, and connections are used again in between', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatesvr-ca-'));
    closers.push(() => rmSync(folder, { recursive: true }));
    const make = async () => {
      const name = [{ name: 'commonName', value: '127.0.0.1' }];
      const altNames = [{ type: 7 as const, ip: '127.0.0.1' }];
      const { cert, private: key } = await generate(name, {
        keyType: 'ec',
        extensions: [
          { name: 'basicConstraints', cA: true },
          { name: 'subjectAltName', altNames },
        ],
      });
      return { cert, key };
    };
    const [first, second] = [await make(), await make()];
    const server = new FakeApiServer({ tls: first });
    await server.listen();
    closers.push(() => server.close());
    const ca = join(folder, 'ca.crt');
    writeFileSync(ca, first.cert);
    const config = join(folder, 'config');
    writeFileSync(config, kubeconfig({ cluster: `{ server: "${server.url}", certificate-authority: ca.crt }` }));
    let nowMs = 0;
    const environment = { env: {}, nowMs: () => nowMs, readFile: (path: string) => readFileSync(path) };
    const access = findCluster({ kubeconfig: config }, environment);
    const clock: Clock = {
      nowMs: () => nowMs,
      wallMs: () => nowMs,
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    };
    const metrics = { requested: () => {} };
    const client = new HttpKubeClient({ access, clock, metrics, fieldManager: 'op', userAgent: 'test' });
    closers.push(() => client.close());
    for (let index = 0; index < 20; index += 1) await client.list(configMaps, {});
    expect(server.connections).toBe(1);
    server.setCertificates(second);
    server.breakConnections();
    await expect(client.list(configMaps, {})).rejects.toThrow(/self-signed certificate/);
    writeFileSync(ca, second.cert);
    nowMs += 60_000;
    for (let index = 0; index < 20; index += 1) await client.list(configMaps, {});
    expect(server.connections).toBeLessThanOrEqual(3);
  });

  it('a token that is refused is read again', async () => {
    let valid = 'one';
    const authorize = (request: IncomingMessage) => request.headers.authorization === `Bearer ${valid}`;
    const server = new FakeApiServer({ authorize });
    await server.listen();
    closers.push(() => server.close());
    const text = kubeconfig({ user: '{ tokenFile: /token }', cluster: `{ server: "${server.url}" }` });
    const { environment, files } = environmentOf({ '/config': text, '/token': 'one' });
    const client = new HttpKubeClient({
      access: findCluster({ kubeconfig: '/config' }, environment),
      clock: { nowMs: () => 0, wallMs: () => 0, after: () => () => {} },
      metrics: { requested: () => {} },
      fieldManager: 'op',
      userAgent: 'test',
    });
    closers.push(() => client.close());
    await client.list(configMaps, {});
    valid = 'two';
    files['/token'] = 'two';
    await expect(client.list(configMaps, {})).rejects.toMatchObject({ status: 401 });
    await client.list(configMaps, {});
  });
});
