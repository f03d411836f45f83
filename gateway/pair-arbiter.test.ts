import { describe, expect, it } from 'vitest';
import { loadConfig } from './config.ts';
import { silentLogger } from './lib/log.ts';
import { arbiterOf, pairTiming, roleSettings } from './pair-arbiter.ts';

const argv = [
  ...['--dev', '--backup-enabled', '--backup-secret-file=s', '--backup-server-id=shop-p0-b-0', '--backup-mode=backup'],
  ...['--backup-heartbeat-peer-addr=a:8093', '--backup-sync-peer-addr=a:8094'],
  ...['--backup-heartbeat-interval=200ms', '--backup-heartbeat-timeout=1s'],
];
const inKubernetes = [...argv, '--backup-arbiter=kubernetes', '--backup-kubernetes-lease-name=shop-p0'];
const configOf = (flags: readonly string[]) => loadConfig({ argv: flags, env: {}, readFile: () => '' }).config;

describe('an arbiter in Kubernetes', () => {
  const connect = (files: Readonly<Record<string, string>>, apiServer: string | undefined, flags: string[] = []) => {
    const readFile = (path: string) => {
      const text = files[path.slice(path.lastIndexOf('/') + 1)];
      if (text === undefined) throw new Error('no such file');
      return text;
    };
    return () => arbiterOf(configOf([...inKubernetes, ...flags]), { apiServer, readFile, log: silentLogger });
  };
  const all = { token: 't', 'ca.crt': 'c', namespace: 'games' };

  it('finds in a pod what it needs', () => {
    expect(connect(all, 'https://10.0.0.1:443')).not.toThrow();
  });

  it.each([
    ['an API server', all, undefined, /^backup\.kubernetes\.api_server: not set: expected a URL/],
    ['a namespace', { token: 't', 'ca.crt': 'c' }, 'https://k', /^backup\.kubernetes\.namespace: .*namespace: cannot/],
    [
      'a token',
      { ...all, token: undefined },
      'https://k',
      /^backup\.kubernetes\.token_file: .*token: cannot be read: no/,
    ],
    [
      'an authority',
      { ...all, 'ca.crt': undefined },
      'https://k',
      /^backup\.kubernetes\.ca_file: .*ca\.crt: cannot be/,
    ],
  ])('says what is missing: %s', (_name, files, apiServer, expected) => {
    expect(connect(files as Record<string, string>, apiServer)).toThrow(expected);
  });
});

describe('when a gateway acts by itself', () => {
  it('waits for others where there are others to decide (rules 13 and 14)', () => {
    expect(roleSettings(configOf(inKubernetes))).toEqual({
      ...{ serverId: 'shop-p0-b-0', mode: 'backup', arbiter: 'shared' },
      ...{ promoteAfterMs: 2_000, resetAfterMs: 120_000, startAloneAfterMs: 10_000 },
    });
    expect(roleSettings(configOf(argv))).toMatchObject({ arbiter: 'own', promoteAfterMs: 0, resetAfterMs: 10_000 });
  });

  it('asks the API server seldom while all is well', () => {
    expect(pairTiming(configOf(inKubernetes))).toMatchObject({
      leaseReadIntervalMs: 10_000,
      urgentReadIntervalMs: 500,
    });
    expect(pairTiming(configOf(argv))).toMatchObject({ leaseReadIntervalMs: 200, urgentReadIntervalMs: 200 });
  });
});
