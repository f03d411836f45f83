import { describe, expect, it } from 'vitest';
import type { PeerFrame } from '../../proto/gen/replication.ts';
import { mayTalk, PeerHandshake, type PeerIdentity } from './peer-handshake.ts';

const key = Buffer.alloc(32, 1);
const a = { serverId: 'gate-001', version: '1.4.2' };
const b = { serverId: 'gate-002', version: '1.5.0' };
const nonce = (fill: number) => Buffer.alloc(32, fill);

/** Both ends of one stream, until it is open or refused. */
function shake(
  dialer: { identity: PeerIdentity; key: Uint8Array },
  listener: { identity: PeerIdentity; key: Uint8Array },
  change: (frame: PeerFrame) => PeerFrame = (frame) => frame,
): { dialer: string; listener: string } {
  const ends = {
    dialer: new PeerHandshake('dialer', dialer.identity, dialer.key, nonce(2)),
    listener: new PeerHandshake('listener', listener.identity, listener.key, nonce(3)),
  };
  const result = { dialer: 'waiting', listener: 'waiting' };
  let side: 'dialer' | 'listener' = 'listener';
  let frame: PeerFrame | undefined = ends.dialer.opening;
  while (frame !== undefined) {
    const step = ends[side].received(change(frame));
    if (step.refused !== undefined) result[side] = step.refused;
    if (step.open === true) result[side] = 'open';
    if (step.refused !== undefined) break;
    frame = step.reply;
    side = side === 'dialer' ? 'listener' : 'dialer';
  }
  return result;
}

describe('the handshake of a pair', () => {
  it('opens between two of the same key and neighbouring versions', () => {
    expect(shake({ identity: a, key }, { identity: b, key })).toEqual({ dialer: 'open', listener: 'open' });
  });

  it('refuses another key by the name of who has it', () => {
    const other = Buffer.alloc(32, 9);
    expect(shake({ identity: a, key }, { identity: b, key: other }).dialer).toBe(
      'gate-002: its backup.secret_file is not ours',
    );
  });

  it('refuses oneself, and says which setting is wrong', () => {
    expect(shake({ identity: a, key }, { identity: a, key }).listener).toMatch(/server_id gate-001.*peer address/);
  });

  it('refuses a release too far away by name', () => {
    const far = { serverId: 'gate-003', version: '1.7.0' };
    expect(shake({ identity: far, key }, { identity: a, key }).listener).toMatch(/version 1\.7\.0 of gate-003/);
  });

  it('refuses a dialer that answers with a proof of another stream', () => {
    const replayed = (frame: PeerFrame): PeerFrame =>
      frame.frame?.$case === 'proof' ? { frame: { $case: 'proof', value: { proof: Buffer.alloc(32, 5) } } } : frame;
    expect(shake({ identity: a, key }, { identity: b, key }, replayed).listener).toMatch(/secret_file is not ours/);
  });

  it('refuses whatever else comes first, and a short nonce', () => {
    const dismiss: PeerFrame = { frame: { $case: 'dismiss', value: { stream: 1n, discard: true, reason: '' } } };
    expect(shake({ identity: a, key }, { identity: b, key }, () => dismiss).listener).toBe('dismiss: expected hello');
    const short = (frame: PeerFrame): PeerFrame =>
      frame.frame?.$case === 'hello'
        ? { frame: { $case: 'hello', value: { ...frame.frame.value, nonce: Buffer.alloc(4) } } }
        : frame;
    expect(shake({ identity: a, key }, { identity: b, key }, short).listener).toMatch(/nonce of 4 bytes/);
  });

  it.each([
    ['1.4.0', '1.4.9', true],
    ['1.4.0', '1.5.0', true],
    ['1.4.0', '1.6.0', false],
    ['1.4.0', '2.4.0', false],
    ['1.4.0', 'nonsense', false],
  ])('%s and %s may talk: %s', (own, other, expected) => {
    expect(mayTalk(own, other)).toBe(expected);
    expect(mayTalk(other, own)).toBe(expected);
  });
});
