import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { otherMember, PairProcesses } from '../../bench/lib/pair.ts';
import { makeAuthority } from '../../gateway/transport/testing/certificates.ts';

let folder: string;
let pair: PairProcesses | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatesvr-tls-'));
});

afterEach(async () => {
  await pair?.stop();
  rmSync(folder, { recursive: true });
});

it('a pair whose links are TLS both ways goes on when its primary is killed', async () => {
  const authority = await makeAuthority();
  const { certificate, privateKey } = await authority.issue('peer');
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const flags = [
    '--dev=false',
    `--cert-file=${file('tls.crt', certificate)}`,
    `--key-file=${file('tls.key', privateKey)}`,
    `--ca-file=${file('ca.crt', authority.certificate)}`,
  ];
  pair = await PairProcesses.start({ flags });
  const primary = await pair.untilInSync();
  await pair.signal(primary, 'SIGKILL');
  await pair.untilPrimary(otherMember(primary));
  await pair.startMember(primary);
  expect(await pair.untilInSync()).toBe(otherMember(primary));
});
