import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { main as operatorMain } from '../../operator/main.ts';
import { UsageError } from '../lib/errors.ts';
import { main as gatewayMain } from '../main.ts';
import { main as adminMain } from './admin-command.ts';
import { main as benchMain } from './bench-command.ts';
import { main as clientMain } from './client-command.ts';
import { main as kubectlMain } from './kubectl-command.ts';
import { gatesvr } from './testing/gatesvr-process.ts';
import { main as upstreamMain } from './upstream-command.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatesvr-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Processes on a busy machine are slow to start. */
const timeout = 60_000;

const subcommands: Readonly<Record<string, (argv: string[]) => Promise<number>>> = {
  gateway: gatewayMain,
  operator: operatorMain,
  upstream: upstreamMain,
  client: clientMain,
  bench: benchMain,
  admin: adminMain,
  kubectl: kubectlMain,
};

/** Runs a subcommand in this process. */
function run([name, ...argv]: readonly string[]): Promise<number> {
  const main = subcommands[name ?? ''];
  if (main === undefined) throw new Error(`${name}: no such subcommand`);
  return main(argv);
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('help', () => {
  const adminNames = ['status', 'sessions', 'kick', 'drain', 'promote', 'demote', 'limits', 'zones'];
  it.each([
    // The plugin says how kubectl calls it.
    ...Object.keys(subcommands)
      .filter((name) => name !== 'kubectl')
      .map((name) => [[name]]),
    ...[...adminNames, 'push', 'broadcast', 'fleet', 'presence', 'group', 'token'].map((name) => [['admin', name]]),
  ])('%j has usage and examples', async (args) => {
    let stdout = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      stdout += text;
      return true;
    });
    expect(await run([...args, '--help'])).toBe(0);
    expect(stdout).toContain(`Usage: ${['gatesvr', ...args].join(' ')}`);
    expect(stdout).toMatch(/Examples:\n {2}\S/);
  });

  it('lists only subcommands that exist', { timeout }, async () => {
    const { code, stdout, stderr } = await gatesvr('--help');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const names = stdout.match(/^ {2}(?!gatesvr)\w+/gm)?.map((name) => name.trim());
    expect(names).toEqual(Object.keys(subcommands));
  });

  it('says the version', { timeout }, async () => {
    expect((await gatesvr('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('wrong usage', () => {
  it.each([
    [['client', '--opneid', 'alice'], '--opneid: unknown flag, did you mean --openid?'],
    [['client'], '--openid: missing'],
    [['client', '--openid', 'x'.repeat(129), '--insecure'], '--openid: 129 bytes: expected 1 to 128'],
    [['client', '--openid', 'alice', '--addr', 'nowhere'], '--addr: nowhere: expected host:port'],
    [['client', '--openid', 'alice', '--timeout', 'soon'], '--timeout: soon: expected a duration'],
    [['client', '--openid', 'alice', '--ca', '/does/not/exist'], '--ca: /does/not/exist: cannot be read'],
    [['client', '--openid', 'alice', '--insecure=perhaps'], '--insecure: perhaps: expected true or false'],
    [['client', '--openid', 'alice', '--insecure', '--data', 'hi'], '--data: needs --action'],
    [['client', '--openid', 'alice', 'stray'], "Unexpected argument 'stray'"],
    [['upstream', '--addr', 'localhost:0'], '--zone: missing'],
    [['upstream', '--zone', '001', '--gateway', 'x'], '--gateway: x: expected host:port'],
    [['upstream', '--zone', '001', '--cert', 'x'], '--cert and --key: expected both'],
    [['admin'], 'admin: no subcommand'],
    [['admin', 'statsu'], 'did you mean status?'],
    [['admin', 'kick'], '--openid or --session-id'],
    [['admin', 'presence'], 'expected one openid'],
    [['admin', 'fleet', '--map', '/nowhere'], '--map: /nowhere'],
    [['admin', 'group', 'room'], 'one of --join'],
    [['admin', 'push', '--openid', 'alice'], '--data: missing'],
    [['admin', 'push', '--openid', 'a', '--data', 'x', '--level', 'sure'], '--level: sure: expected queued, committed'],
    [['admin', 'zones', '--set', '001'], '--set: 001: expected ID=HOST:PORT'],
    [['admin', 'limits', '--max-qps', 'many'], '--max-qps: many: expected a number'],
    [['admin', 'token', '--openid', 'alice'], '--secret-file: missing'],
    [['bench', 'nothing'], 'bench: nothing: expected'],
    [['gateway', '--max-frame-bytes', 'many'], 'max_frame_bytes'],
  ])('%j is said in one line', async (args, message) => {
    const error = await run(args).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
  });

  it('ends the process with 2', { timeout }, async () => {
    const text =
      'gatesvr: clinet: expected gateway, operator, upstream, client, bench, admin, kubectl, did you mean client?';
    expect(await gatesvr('clinet')).toEqual({ code: 2, stdout: '', stderr: `${text} (see gatesvr --help)\n` });
    const { code, stderr } = await gatesvr('client');
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'gatesvr: --openid: missing: expected who connects\n' });
  });

  it('no subcommand at all prints the usage', { timeout }, async () => {
    const { code, stderr } = await gatesvr();
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: gatesvr SUBCOMMAND');
  });
});

describe('admin token', () => {
  it('makes the token of the interface: B.E.S', { timeout }, async () => {
    const file = join(folder, 'secret.txt');
    writeFileSync(file, 'a secret of more than thirty-two bytes\n');
    const before = Math.floor(Date.now() / 1000);
    const { code, stdout } = await gatesvr('admin', 'token', '--openid', '用户1', '--ttl', '1h', '--secret-file', file);
    expect(code).toBe(0);
    const [openid, expiry, signature] = stdout.trim().split('.');
    expect(Buffer.from(openid ?? '', 'base64url').toString()).toBe('用户1');
    expect(Number(expiry) - before).toBeGreaterThanOrEqual(3600);
    expect(Number(expiry) - before).toBeLessThan(3600 + 60);
    const hmac = createHmac('sha256', 'a secret of more than thirty-two bytes').update(`${openid}.${expiry}`);
    expect(signature).toBe(hmac.digest('base64url'));
  });
});

describe('nobody there', () => {
  it('ends the client with 3', { timeout }, async () => {
    const flags = [
      '--addr',
      '127.0.0.1:9',
      '--openid',
      'alice',
      '--insecure',
      '--action',
      'echo',
      '--timeout',
      '500ms',
    ];
    const { code, stdout, stderr } = await gatesvr('client', ...flags);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/^gatesvr: CONNECT_FAILED: .*(127\.0\.0\.1:9|no endpoint answered).*\n$/);
  });

  it('ends admin with 3, after trying all', { timeout }, async () => {
    const { code, stderr } = await gatesvr('admin', 'sessions', '--gateway', '127.0.0.1:9,127.0.0.1:10');
    expect(code).toBe(3);
    expect(stderr).toMatch(/^gatesvr: 127\.0\.0\.1:10: UNAVAILABLE: .*\n$/);
  });
});
