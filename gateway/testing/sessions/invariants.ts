import type { Command } from '../../session/command.ts';
import type { Outcome } from '../../session/effect.ts';
import type { SessionMachine, SessionView } from '../../session/session-machine.ts';
import { check, contentOf } from './ledger.ts';
import type { Life, SimClient } from './sim-client.ts';
import type { SimGateway } from './sim-gateway.ts';
import type { World } from './world.ts';
import { worldLimits } from './world-limits.ts';

/** The most an answer that found no room may add to a queue: its short form, once for each open request. */
const overflowBytesMax = 8 * worldLimits.openRequestsMax;

function sessionsOf(machine: SessionMachine): SessionView[] {
  return machine.list({ openid: '', zoneId: '' }, 1_000, '').sessions;
}

/** Checked after every step of the world. */
export function checkState(world: World, gateway: SimGateway): void {
  let messages = 0;
  let bytes = 0;
  const sessions = sessionsOf(gateway.machine);
  for (const session of sessions) {
    checkQueue(session);
    checkAcknowledged(world, session);
    messages += session.queue.length + session.heldCount;
    bytes += session.queueBytes;
  }
  const counts = gateway.machine.counts();
  check(counts.queueMessages === messages && counts.queueBytes === bytes, 'I10', () => {
    return `counted ${counts.queueMessages} and ${counts.queueBytes} bytes, there are ${messages} and ${bytes}`;
  });
  check(
    bytes <= worldLimits.totalQueueBytesMax + overflowBytesMax * sessions.length,
    'I10',
    () => `${bytes} bytes in all`,
  );
  check(sessions.length <= worldLimits.sessionsMax, 'I10', () => `${sessions.length} sessions`);
}

function checkQueue(session: SessionView): void {
  const { sessionId, queue, places, openCount } = session;
  check(places <= worldLimits.queueMessagesMax, 'I10', () => `${sessionId} takes ${places} places`);
  check(openCount <= worldLimits.openRequestsMax, 'I10', () => `${sessionId} has ${openCount} open requests`);
  check(session.queueBytes <= worldLimits.queueBytesMax + overflowBytesMax, 'I10', () => {
    return `${sessionId} has ${session.queueBytes} bytes`;
  });
  check(queue.nextSeqId === queue.ackUpTo + 1 + queue.length, 'I6', () => {
    return `${sessionId} has ${queue.length} messages between ${queue.ackUpTo} and ${queue.nextSeqId}`;
  });
}

/** I7: nothing is acknowledged that no client has received. */
function checkAcknowledged(world: World, session: SessionView): void {
  if (session.ackUpTo === 0) return;
  let received = 0;
  for (const client of world.clients) {
    for (const life of client.lives) {
      if (life.sessionId === session.sessionId && life.received > received) received = life.received;
    }
  }
  check(session.ackUpTo <= received, 'I7', () => {
    return `${session.sessionId} has ${session.ackUpTo} acknowledged, clients received ${received}`;
  });
}

/** What an outcome must have been, judged by what clients and ledger know. */
export function checkApplied(world: World, gateway: SimGateway, command: Command, outcome: Outcome): void {
  const { lastIndex } = gateway.options.log;
  if (command.kind === 'answer') world.ledger.applied(contentOf(command.body), lastIndex);
  if ((outcome.kind === 'push' || outcome.kind === 'broadcast') && outcome.status === 'ok' && !outcome.repeated) {
    if (command.kind === outcome.kind) world.ledger.applied(contentOf(command.body), lastIndex);
  }
  if (command.kind !== 'start' || command.token === undefined) return;
  const { sessionId, binding } = command.token;
  check(outcome.kind !== 'started' || !world.ledger.isVoid(sessionId, binding), 'rule 12', () => {
    return `a void token (binding ${binding} of ${sessionId}) was accepted by ${gateway.options.incarnation}`;
  });
}

/** I12: after the faults everything promised is there, or the client was told why not. */
export function checkDelivered(world: World): void {
  const machine = world.gateway?.machine;
  check(machine !== undefined, 'I12', () => 'nobody serves');
  const lives = new Map<string, Life[]>();
  for (const client of world.clients) {
    checkSettled(machine, client);
    for (const life of client.lives) lives.set(life.sessionId, [...(lives.get(life.sessionId) ?? []), life]);
  }
  for (const { content, sessionId } of world.ledger.promised) {
    if (machine.session(sessionId) === undefined || world.ledger.content(content).expires) continue;
    const seen = lives.get(sessionId)?.some((life) => [...life.seen.values()].includes(content)) === true;
    const takenOver = isBeforeAll(world, lives.get(sessionId) ?? [], sessionId, content);
    check(seen || takenOver || !machine.session(sessionId)?.connected, 'I12', () => {
      return `message ${content} was promised to ${sessionId} and never came`;
    });
  }
  for (const { push, response, sessionId } of world.ledger.neighbours)
    checkNeighbours(world, sessionId, push, response);
}

/** The device that received it has forgotten it: it was acknowledged before the present one began. */
function isBeforeAll(world: World, lives: Life[], sessionId: string, content: number): boolean {
  const seqId = world.ledger.seqIds(sessionId).get(content);
  return seqId !== undefined && lives.some((life) => seqId <= life.received && life.seen.has(seqId));
}

function checkSettled(machine: SessionMachine, client: SimClient): void {
  const { life } = client;
  if (client.stopped) return;
  const { name } = client.options;
  if (client.lives.length === 0 && client.connection === undefined) return;
  check(client.state === 'open' && life !== undefined, 'I12', () => `${name} is ${client.state} after the faults`);
  const session = machine.session(life.sessionId);
  check(session !== undefined, 'I12', () => `${name} was not told that ${life.sessionId} is over`);
  check(client.openRequests === 0, 'I12', () => `${name} still waits for ${client.openRequests} answers`);
  check(life.received === session.nextSeqId - 1 && session.ackUpTo === life.received, 'I12', () => {
    return `${name} received ${life.received} of ${session.nextSeqId - 1}, acknowledged ${session.ackUpTo}`;
  });
  check(session.places === 0, 'I12', () => `${session.places} places of ${life.sessionId} are never free`);
}

function checkNeighbours(world: World, sessionId: string, push: number, response: number): void {
  const { ledger } = world;
  const pushSeq = ledger.seqIds(sessionId).get(push);
  const responseSeq = ledger.seqIds(sessionId).get(response);
  if (pushSeq === undefined || responseSeq === undefined) return;
  const { order, clientSeq } = ledger.content(push);
  const [from, to] = order === 'before' ? [pushSeq, responseSeq] : [responseSeq, pushSeq];
  check(from < to, 'order', () => `push ${push} is on the wrong side of the response to ${clientSeq}`);
  for (let seqId = from + 1; seqId < to; seqId += 1) {
    const between = ledger.messages(sessionId).get(seqId) ?? 0;
    const bound = between === 0 ? undefined : ledger.content(between);
    check(bound === undefined || bound.clientSeq === clientSeq, 'order', () => {
      return `message ${between} stands between push ${push} and the response to ${clientSeq}`;
    });
  }
}
