import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Child } from '../../bench/lib/child.ts';
import {
  commandLine,
  lookAt,
  type MemberAddresses,
  type MemberSettings,
  type MemberView,
  memberAddresses,
  memberFlags,
  until,
} from '../../bench/lib/pair.ts';

const heartbeats = { heartbeatIntervalMs: 50, heartbeatTimeoutMs: 500 };
const secret = 'a secret of a pair of gateways, long enough\n';
const looks = 10;

const started: Child[] = [];
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((child) => child.stop()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function secretFile(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatesvr-secret-'));
  folders.push(folder);
  const file = join(folder, 'secret');
  writeFileSync(file, content);
  return file;
}

async function start(settings: MemberSettings, flags: readonly string[] = []): Promise<Child> {
  const child = await Child.start(process.execPath, [commandLine, 'gateway', ...memberFlags(settings), ...flags]);
  started.push(child);
  return child;
}

async function twoPlaces(): Promise<{ a: MemberSettings; b: MemberSettings }> {
  const [a, b] = [await memberAddresses(), await memberAddresses()];
  const file = secretFile(secret);
  const member = (name: string, own: MemberAddresses, peer: MemberAddresses) => {
    const mode = name === 'a' ? ('primary' as const) : ('backup' as const);
    return { name, mode, own, peer, secretFile: file, ...heartbeats };
  };
  return { a: member('a', a, b), b: member('b', b, a) };
}

async function ends(child: Child): Promise<{ code: number | undefined; lines: string[] }> {
  const code = await child.ended;
  const lines = child.output.split('\n').filter((line) => line !== '' && !line.startsWith('{"level":"warn"'));
  return { code, lines };
}

function complaints(child: Child): string[] {
  return child.output.split('\n').filter((line) => line.includes('"level":"error"'));
}

async function view(settings: MemberSettings): Promise<MemberView> {
  let seen: MemberView | undefined;
  const answers = async () => {
    seen = await lookAt(settings.own.http);
    return seen !== undefined;
  };
  await until(`${settings.name} answers`, answers);
  if (seen === undefined) throw new Error('no answer');
  return seen;
}

describe('a pair that is configured wrongly does not start', () => {
  it.each([
    [
      'a secret that is too short',
      secretFile('short'),
      /^gatesvr: backup\.secret_file: .*: 5 bytes: expected 32 or more$/,
    ],
    [
      'a secret that is not there',
      '/nowhere/secret',
      /^gatesvr: backup\.secret_file: \/nowhere\/secret: cannot be read/,
    ],
  ])('%s', async (_name, file, expected) => {
    const { a } = await twoPlaces();
    const { code, lines } = await ends(await start({ ...a, secretFile: file }));
    expect(code).toBe(2);
    expect(lines).toEqual([expect.stringMatching(expected)]);
  });

  it('a peer that is oneself, for each address', async () => {
    const { a } = await twoPlaces();
    const { code, lines } = await ends(await start({ ...a, peer: a.own }));
    expect(code).toBe(2);
    expect(lines.join('\n')).toMatch(/backup\.heartbeat\.peer_addr: 127.*expected the peer's address/);
    expect(lines.join('\n')).toMatch(/backup\.sync\.peer_addr: 127.*expected the peer's address/);
  });

  it('a heartbeat timeout of less than three intervals', async () => {
    const { a } = await twoPlaces();
    const { code, lines } = await ends(await start({ ...a, heartbeatTimeoutMs: 100 }));
    expect(code).toBe(2);
    expect(lines.join('\n')).toMatch(/backup\.heartbeat\.timeout: 100ms: expected at least 3 times/);
  });
});

describe('two gateways that are no pair', () => {
  it('refuse each other by name when their secrets differ, and the backup stays unready', async () => {
    const { a, b } = await twoPlaces();
    const first = await start(a);
    const second = await start({ ...b, secretFile: secretFile(`another one: ${secret}`) });
    await until(
      'both complain',
      () => complaints(first).length > 0 && complaints(second).length > 0,
      () => `${first.output}\n${second.output}`,
    );
    for (let look = 0; look < looks; look += 1) expect(await view(b)).toMatchObject({ role: 'standby', ready: false });
    // Dialled ten times a second on two streams, and said once.
    expect(complaints(first)).toEqual([expect.stringContaining('b: its backup.secret_file is not ours')]);
    expect(complaints(second)).toEqual([expect.stringContaining('a: its backup.secret_file is not ours')]);
    expect((await view(b)).reasons).toEqual(['standby, not in sync']);
  });

  it('refuse each other when both have one name', async () => {
    const { a, b } = await twoPlaces();
    const first = await start(a);
    const second = await start({ ...b, name: 'a' });
    await until(
      'both complain',
      () => complaints(first).length > 0 && complaints(second).length > 0,
      () => `${first.output}\n${second.output}`,
    );
    for (const child of [first, second]) {
      expect(complaints(child)).toEqual([expect.stringContaining('server_id a: the peer has the same')]);
    }
  });
});

describe('modes that do not fit', () => {
  it('two primaries: one leads, the other follows it', async () => {
    const { a, b } = await twoPlaces();
    await start(a, ['--backup-start-alone-after=100ms']);
    await until('the first leads', async () => (await view(a)).ready);
    await start({ ...b, mode: 'primary' });
    await until('the second is in sync', async () => (await view(a)).inSync.length === 2 && (await view(b)).ready);
    expect(await view(a)).toMatchObject({ role: 'primary', ready: true });
    expect(await view(b)).toMatchObject({ role: 'backup', epoch: (await view(a)).epoch });
  });

  it('two primaries at the same time: still one', async () => {
    const { a, b } = await twoPlaces();
    await Promise.all([start(a), start({ ...b, mode: 'primary' })]);
    const roles = async () => [(await view(a)).role, (await view(b)).role].sort().join();
    await until('one leads, one follows', async () => (await roles()) === 'backup,primary');
    await until('both are ready', async () => (await view(a)).ready && (await view(b)).ready);
    expect((await view(a)).epoch).toBe((await view(b)).epoch);
  });

  it('two backups: both wait, and say that they are not ready', async () => {
    const { a, b } = await twoPlaces();
    const flags = ['--backup-start-alone-after=100ms', '--backup-failover-timeout=100ms'];
    await start({ ...a, mode: 'backup' }, flags);
    await start(b, flags);
    for (const settings of [a, b]) {
      for (let look = 0; look < looks; look += 1) {
        const seen = await view(settings);
        expect(seen).toMatchObject({ role: 'standby', ready: false, inSync: [] });
        expect(seen.reasons).toEqual(['standby, not in sync']);
      }
    }
  });
});
