import { PushLevel } from '../../../proto/gen/upstream.ts';
import { ErrorCode } from '../../protocol/error-codes.ts';
import { encodeImages } from '../../session/image-codec.ts';
import { check } from '../sessions/ledger.ts';
import type { SimClient } from '../sessions/sim-client.ts';
import type { PairWorld } from './pair-world.ts';
import type { SimNode } from './sim-node.ts';

/** I12 and what else must be so once the faults are over. */
export function checkSettled(world: PairWorld): void {
  const nodes = [...world.nodes.values()];
  const primaries = nodes.filter((node) => node.shard.role === 'primary');
  const primary = primaries[0];
  check(
    primary !== undefined && primaries.length === 1,
    'I12',
    () => `${primaries.length} primaries: ${describe(nodes)}`,
  );
  check(primary.shard.serving && primary.shard.inSync.length === 2, 'I12', () => describe(nodes));
  const backup = nodes.find((node) => node !== primary) as SimNode;
  checkCopy(world, primary, backup);
  for (const client of world.clients) checkClient(world, primary, client);
  check(world.backend.unanswered === 0, 'I12', () => `${world.backend.unanswered} pushes have no answer`);
  checkPromises(world, primary);
}

/** Rule 9: at the same index both hold the same. */
function checkCopy(world: PairWorld, primary: SimNode, backup: SimNode): void {
  for (let tries = 0; tries < 400; tries += 1) {
    if (primary.shard.logIndex === backup.shard.logIndex) break;
    world.advance(1);
  }
  const index = primary.shard.logIndex;
  check(backup.shard.logIndex === index, 'I12', () => `the backup is at ${backup.shard.logIndex} of ${index}`);
  const same = primary.machine.stateHash() === backup.machine.stateHash();
  check(same, 'rule 9', () => `the copies differ at ${index}`);
  check(contents(primary) === contents(backup), 'rule 9', () => `the copies differ at ${index}`);
}

function contents(node: SimNode): string {
  const whole = encodeImages(node.machine.snapshot(node.shard.logIndex + 1), Number.MAX_SAFE_INTEGER, () => true);
  return Buffer.from(whole.bytes).toString('latin1');
}

function checkClient(world: PairWorld, primary: SimNode, client: SimClient): void {
  const { life } = client;
  const { name, openid } = client.options;
  const replaced = client.lives.at(-1)?.endedCode === ErrorCode.ERROR_REPLACED;
  if ((client.stopped && replaced && openid === 'dan') || (client.lives.length === 0 && name === 'dan2')) return;
  check(client.state === 'open' && life !== undefined, 'I12', () => `${name} is ${client.state} after the faults`);
  const session = primary.machine.session(life.sessionId);
  check(session !== undefined, 'I12', () => `${name} was not told that ${life.sessionId} is over`);
  check(client.openRequests === 0, 'I12', () => `${name} still waits for ${client.openRequests} answers`);
  check(life.received === session.nextSeqId - 1 && session.ackUpTo === life.received, 'I12', () => {
    return `${name} received ${life.received} of ${session.nextSeqId - 1}, acknowledged ${session.ackUpTo}`;
  });
  for (const { endedCode } of client.lives) {
    // Nothing but a lost history ends a session in these runs: the window is longer than they are (I11). Of two standalone
    // primaries that could not see each other one knew sessions and tokens that the other does not; the client is told.
    const { ERROR_SESSION_RESET, ERROR_RESUME_REJECTED, ERROR_SESSION_NOT_FOUND } = ErrorCode;
    const weaker = world.isWeaker ? [ERROR_RESUME_REJECTED, ERROR_SESSION_NOT_FOUND] : [];
    // A device whose session another one took has an old token.
    const evicted = openid === 'dan' ? [ERROR_RESUME_REJECTED, ErrorCode.ERROR_REPLACED] : [];
    const mayBe = [undefined, 0, ERROR_SESSION_RESET, ...weaker, ...evicted];
    check(mayBe.includes(endedCode), 'I11', () => `${name} was told ${endedCode}`);
  }
}

/** Every push that was promised in the history that lives on was seen by its client, or expired. */
function checkPromises(world: PairWorld, primary: SimNode): void {
  const { isWeaker } = world;
  for (const { content, sessionId, history, level } of world.backend.promises) {
    if (history !== primary.shard.history || world.ledger.content(content).expires) continue;
    // A primary that was cut off promised alone what its successor cannot know.
    if (isWeaker && level !== PushLevel.PUSH_LEVEL_COMMITTED) continue;
    const lives = world.clients.flatMap((client) => client.lives.filter((life) => life.sessionId === sessionId));
    const seen = lives.some((life) => [...life.seen.values()].includes(content));
    const told = isWeaker && lives.some((life) => life.endedCode !== undefined);
    check(seen || told, 'I12', () => `message ${content} was promised to ${sessionId} and never came`);
  }
}

function describe(nodes: readonly SimNode[]): string {
  return nodes
    .map(({ serverId, shard }) => `${serverId} ${shard.role} ${shard.epoch} ${shard.logIndex} [${shard.inSync}]`)
    .join(', ');
}
