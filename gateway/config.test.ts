import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entries } from './config/table.ts';
import { configHelp, loadConfig } from './config.ts';
import { UsageError } from './lib/errors.ts';

interface Given {
  readonly argv?: readonly string[];
  readonly env?: Record<string, string>;
  readonly yaml?: string;
}

function load({ argv = [], env = {}, yaml }: Given = {}) {
  const fileFlags = yaml === undefined ? [] : ['--config=test.yaml'];
  return loadConfig({ argv: [...fileFlags, ...argv], env, readFile: () => yaml ?? '' });
}

function problemsOf(given: Given): string[] {
  try {
    load(given);
  } catch (error) {
    if (error instanceof UsageError) return error.message.split('\n');
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('has the pinned defaults', () => {
    const { config } = load();
    expect(config.server).toMatchObject({
      quicAddr: ':8453',
      httpAddr: ':8080',
      grpcAddr: ':8092',
      metricsAddr: ':9090',
    });
    expect(config.server).toMatchObject({ sessionTimeoutMs: 300_000, ackTimeoutMs: 30_000, maxRetries: 3 });
    expect(config.server).toMatchObject({ startTimeoutMs: 5000, heartbeatIntervalMs: 10_000, idleTimeoutMs: 30_000 });
    expect(config.server).toMatchObject({ resumeWindowMs: 30_000, drainTimeoutMs: 30_000, maxFrameBytes: 65_536 });
    expect(config.server).toMatchObject({ queueMaxMessages: 256, queueMaxBytes: 262_144, secondLogin: 'resume' });
    expect(config.server).toMatchObject({
      certFile: 'certs/server.crt',
      keyFile: 'certs/server.key',
      transport: 'auto',
    });
    expect(config.overloadProtection).toMatchObject({
      enabled: true,
      maxConnections: 1000,
      connectionWarningThreshold: 800,
    });
    expect(config.overloadProtection).toMatchObject({ maxQps: 2000, qpsWarningThreshold: 1600, qpsWindowSeconds: 10 });
    expect(config.overloadProtection).toMatchObject({ maxUpstreamConcurrent: 100, upstreamWarningThreshold: 80 });
    expect(config.backup).toMatchObject({ enabled: false, mode: 'primary', arbiter: 'standalone' });
    expect(config.backup.heartbeat).toMatchObject({ intervalMs: 2000, timeoutMs: 6000, listenAddr: ':8093' });
    expect(config.backup.sync).toMatchObject({ batchSize: 50, timeoutMs: 200, bufferSize: 1000, listenAddr: ':8094' });
    expect(config.auth).toMatchObject({ mode: 'none', clockSkewMs: 30_000, jwt: { openidClaim: 'sub' } });
    expect(config.log).toEqual({ level: 'info', file: undefined, maxBytes: 3_145_728, files: 5 });
    expect(config.upstream.zoneCount).toBe(6);
  });

  it('lets flags win over variables, variables over the file, the file over defaults', () => {
    const yaml = 'server:\n  quic_addr: ":1"\n  http_addr: ":2"\n  grpc_addr: ":3"\n';
    const env = { GATESVR_QUIC_ADDR: ':11', GATESVR_HTTP_ADDR: ':12', GATESVR_CERT_FILE: 'a', GATESVR_KEY_FILE: 'b' };
    const { server } = load({ argv: ['--quic-addr', ':21'], env, yaml }).config;
    expect(server).toMatchObject({
      quicAddr: ':21',
      httpAddr: ':12',
      grpcAddr: ':3',
      metricsAddr: ':9090',
      certFile: 'a',
    });
  });

  it('takes the file from -config=, --config and GATESVR_CONFIG', () => {
    const readFile = (path: string) => `server: { max_retries: ${path.length} }`;
    const retries = (argv: string[], env = {}) => loadConfig({ argv, env, readFile }).config.server.maxRetries;
    expect(retries(['-config=1234'])).toBe(4);
    expect(retries(['--config', '12345'])).toBe(5);
    expect(retries([], { GATESVR_CONFIG: '123456' })).toBe(6);
    expect(retries(['--config=12'], { GATESVR_CONFIG: '123456' })).toBe(2);
  });

  it('reads the recommended production file of the original design', () => {
    const yaml = readFileSync(new URL('./config/fixtures/original-production.yaml', import.meta.url), 'utf8');
    const { config, warnings } = load({ yaml, argv: ['--backup-secret-file=pair.secret'] });
    expect(config.overloadProtection).toMatchObject({
      maxConnections: 10_000,
      maxQps: 20_000,
      upstreamTimeoutMs: 30_000,
    });
    expect(config.backup).toMatchObject({ enabled: true, serverId: 'gate-prod-001', secretFile: 'pair.secret' });
    expect(warnings.join()).toContain('backup.arbiter is standalone');
    expect(config.backup.sync).toMatchObject({ peerAddr: 'backup-server:8094', batchSize: 100, bufferSize: 10_000 });
  });

  it('takes the default where the value is nothing, so that a flag can undo what the file says', () => {
    const yaml = 'server: { ca_file: ca.pem, cert_file: "", key_file: "" }\nlog: { level: }';
    const { config } = load({ yaml, argv: ['--ca-file='] });
    expect(config.server).toMatchObject({
      caFile: undefined,
      certFile: 'certs/server.crt',
      keyFile: 'certs/server.key',
    });
    expect(config.log.level).toBe('info');
  });

  it('derives warning thresholds from limits that were changed', () => {
    const { overloadProtection } = load({ argv: ['--overload-protection-max-qps=50000'] }).config;
    expect(overloadProtection.qpsWarningThreshold).toBe(40_000);
  });

  it('reads switches, lists and durations', () => {
    const argv = ['--dev', '--grpc-reflection=true', '--overload-protection-enabled=false', '--ack-timeout', '1m30s'];
    const yaml = 'auth: { jwt: { algorithms: [ES256, EdDSA] } }';
    const { config } = load({ argv, yaml });
    expect(config.server).toMatchObject({ dev: true, grpcReflection: true, ackTimeoutMs: 90_000, certFile: undefined });
    expect(config.overloadProtection.enabled).toBe(false);
    expect(config.auth.jwt.algorithms).toEqual(['ES256', 'EdDSA']);
  });

  it('refuses debugging files in production, unless somebody insists', () => {
    for (const [flag, path] of [
      ['--qlog=/tmp', 'server.qlog'],
      ['--key-log=/tmp/keys', 'server.key_log'],
    ] as const) {
      const refusal = `${path}: ${flag.split('=')[1]}: expected nothing without server.dev, or server.allow_debugging`;
      expect(problemsOf({ argv: ['--cert-file=a', '--key-file=b', flag] }).join()).toContain(refusal);
      expect(load({ argv: ['--dev', flag] }).warnings.join()).toContain(path);
      expect(load({ argv: ['--allow-debugging', flag] }).warnings.join()).toContain(path);
    }
  });

  it('tells unknown variables without failing, as a Service named gatesvr injects some', () => {
    const env = { GATESVR_PORT: 'tcp://10.0.0.1:8453', GATESVR_SERVICE_HOST: '10.0.0.1', HOME: '/' };
    expect(load({ env }).unknownVariables).toEqual(['GATESVR_PORT', 'GATESVR_SERVICE_HOST']);
  });

  it('warns of what is allowed but dangerous', () => {
    expect(load().warnings).toContain('auth.mode is none: every client is believed to be who it says');
    const safe = load({ argv: ['--auth-mode=hmac', '--auth-hmac-secret-file=s', '--ca-file=ca.pem'] });
    expect(safe.warnings).toEqual([]);
  });
});

describe('loadConfig, refusing', () => {
  it('names path, value, expectation and place of everything wrong, at once', () => {
    const yaml = 'server:\n  idle_timeout: 5\n  quik_addr: ":1"\nbakup: 1\n';
    expect(
      problemsOf({ yaml, argv: ['--max-retries=-1', '--quic-adr', 'x'], env: { GATESVR_HTTP_ADDR: 'foo' } }),
    ).toEqual([
      '--quic-adr: unknown flag, did you mean --quic-addr?',
      'server.quik_addr: unknown key, did you mean quic_addr? (test.yaml:3:3)',
      'bakup: unknown key, did you mean backup? (test.yaml:4:1)',
      'server.http_addr: foo: expected HOST:PORT or :PORT, such as :8453, 127.0.0.1:8453 or [::1]:8453 (GATESVR_HTTP_ADDR)',
      'server.max_retries: -1: expected a whole number from 0 to 100 (--max-retries)',
      'server.idle_timeout: 5: expected a duration from 100ms to 1h, such as 200ms, 5s, 5m or 1h (test.yaml:2:3)',
    ]);
  });

  it.each([
    ['broken YAML', 'server: [', 'test.yaml:1:'],
    ['a key twice', 'log:\n  level: info\n  level: warn\n', 'test.yaml:3:3: Map keys must be unique'],
    ['a value where a section belongs', 'server: 5', 'server: expected keys and values (test.yaml:1:9)'],
    ['a list at the top', '- a', 'the file: expected keys and values'],
    ['a section where a value belongs', 'log: { level: { a: 1 } }', 'log.level: expected trace'],
    ['two documents', 'log: {}\n---\nlog: {}', 'test.yaml:2:1'],
    ['a cycle', 'server: &a\n  quic_addr: *a\n', 'server.quic_addr: expected HOST:PORT'],
  ])('refuses %s', (_name, yaml, expected) => {
    expect(problemsOf({ yaml }).join('\n')).toContain(expected);
  });

  it('refuses a file far too large to be a configuration', () => {
    expect(problemsOf({ yaml: `#${'x'.repeat(1_048_577)}` })[0]).toContain('expected at most 1048576');
  });

  it('says why a file cannot be read', () => {
    const readFile = () => {
      throw new Error('no such file');
    };
    expect(() => loadConfig({ argv: ['--config', 'a.yaml'], env: {}, readFile })).toThrow(
      new UsageError('a.yaml: cannot be read: no such file'),
    );
  });

  it.each([
    [
      ['--overload-protection-connection-warning-threshold=1001'],
      'connection_warning_threshold: 1001: expected at most',
    ],
    [['--backup-heartbeat-timeout=5s'], 'backup.heartbeat.timeout: 5s: expected at least 3 times'],
    [['--cert-file=a'], 'server.key_file: not set: expected server.cert_file and server.key_file both'],
    [['--key-file=a', '--dev'], 'server.key_file: a: expected server.cert_file and server.key_file both'],
    [['--backup-enabled'], 'backup.secret_file: not set: expected a value, because backup.enabled is true'],
    [['--backup-heartbeat-peer-addr=localhost:8093'], 'backup.heartbeat.peer_addr: localhost:8093: expected the peer'],
    [['--backup-enabled', '--backup-arbiter=kubernetes'], 'backup.kubernetes.lease_name: not set: expected a value'],
    [['--backup-kubernetes-lease-name=Shop'], 'backup.kubernetes.lease_name: Shop: expected a name of small letters'],
    [['--backup-kubernetes-api-server=http://k'], 'backup.kubernetes.api_server: http://k: expected an https URL'],
    [
      ['--backup-enabled', '--backup-arbiter=kubernetes', '--backup-kubernetes-reset-after=20s'],
      'backup.kubernetes.reset_after: 20s: expected at least 4 times backup.heartbeat.timeout (6s)',
    ],
    [['--auth-mode=hmac'], 'auth.hmac_secret_file: not set'],
    [['--auth-mode=jwt'], 'auth.jwt.jwks_file: not set'],
    [['--auth-jwt-jwks-file=a', '--auth-jwt-jwks-url=http://b/'], 'auth.jwt.jwks_file: a: expected nothing'],
    [['--auth-jwt-jwks-url=ftp://b/'], 'auth.jwt.jwks_url: ftp://b/: expected an http or https URL'],
    [['--http-addr=:9090'], 'server.metrics_addr: :9090: expected another address than server.http_addr'],
    [['--quic-addr'], '--quic-addr: no value: expected HOST:PORT'],
    [['--max-qps=5'], '--max-qps: unknown flag, did you mean --overload-protection-max-qps?'],
    [['gateway.yaml'], 'gateway.yaml: expected a flag'],
    [['--quic-addr=:65536'], 'server.quic_addr: :65536: expected'],
    [['--auth-jwt-algorithms=none'], 'auth.jwt.algorithms: none: expected a list of RS256, ES256, EdDSA'],
  ])('refuses %j', (argv, expected) => {
    const problems = problemsOf({ argv });
    expect(problems.join('\n')).toContain(expected);
  });

  it('allows the same port twice when the system chooses it', () => {
    expect(problemsOf({ argv: ['--http-addr=:0', '--metrics-addr=:0'] })).toEqual([]);
  });

  it('never throws anything but UsageError, whatever the file says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (yaml) => {
        problemsOf({ yaml });
      }),
      { numRuns: 500 },
    );
  });
});

describe('the table', () => {
  it('gives every key its own flag and variable', () => {
    expect(new Set(entries.map((entry) => entry.flag)).size).toBe(entries.length);
    expect(new Set(entries.map((entry) => entry.variable)).size).toBe(entries.length);
  });

  it('names keys as pinned', () => {
    const names = new Map(entries.map((entry) => [entry.path, [entry.flag, entry.variable]]));
    expect(names.get('server.quic_addr')).toEqual(['--quic-addr', 'GATESVR_QUIC_ADDR']);
    expect(names.get('overload_protection.max_qps')).toEqual([
      '--overload-protection-max-qps',
      'GATESVR_OVERLOAD_PROTECTION_MAX_QPS',
    ]);
    expect(names.has('backup.heartbeat.interval')).toBe(true);
    expect(names.has('auth.jwt.openid_claim')).toBe(true);
  });

  it('has defaults that its own checks accept', () => {
    for (const { path, key } of entries) {
      if (key.derive === undefined) expect(key.parse(key.defaultText), path).toBeDefined();
    }
  });

  it('explains every key in the help', () => {
    const help = configHelp();
    for (const { flag } of entries) expect(help).toContain(`${flag}`);
  });
});
