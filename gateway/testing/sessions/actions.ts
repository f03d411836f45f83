import fc from 'fast-check';
import { ErrorCode, nextStep } from '../../protocol/error-codes.ts';
import { check } from './ledger.ts';
import type { SimClient } from './sim-client.ts';
import { nothingPlanted, type Plant, World } from './world.ts';

const kinds = [
  'advance',
  'connect',
  'request',
  'push',
  'broadcast',
  'repeat-push',
  'repeat-request',
  'cut',
  'drop',
  'forget',
  'lose-token',
  'stall',
  'lazy-ack',
  'stop',
  'crash',
  'crash-backup',
  'start-backup',
  'replay-token',
  'ack-past-end',
  'bound-push',
] as const;

/** How often each kind is drawn, in the order of `kinds`. */
const weights = [10, 6, 12, 12, 4, 4, 3, 5, 3, 1, 1, 3, 2, 1, 2, 1, 3, 3, 1, 3];

export interface Action {
  readonly kind: (typeof kinds)[number];
  readonly a: number;
  readonly b: number;
}

export interface Scenario {
  readonly seed: number;
  readonly secondLogin: 'resume' | 'replace' | 'refuse';
  readonly stormy: boolean;
  readonly actions: readonly Action[];
}

const action: fc.Arbitrary<Action> = fc
  .tuple(
    fc.oneof(...kinds.map((kind, i) => ({ weight: weights[i] ?? 1, arbitrary: fc.constant(kind) }))),
    fc.nat(999),
    fc.nat(999),
  )
  .map(([kind, a, b]) => ({ kind, a, b }));

export const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(0x7fffffff),
  secondLogin: fc.constantFrom('resume' as const, 'replace' as const, 'refuse' as const),
  stormy: fc.boolean(),
  actions: fc.array(action, { minLength: 1, maxLength: 60, size: 'max' }),
});

/** Runs one scenario to its end. @throws ViolationError when an invariant does not hold. */
export function runScenario(given: Scenario, plant: Plant = nothingPlanted): World {
  const { seed, secondLogin, stormy } = given;
  const world = new World({ seed, secondLogin, stormy, plant });
  for (const client of world.clients.slice(0, 3)) client.connect();
  world.advance(100);
  for (const next of given.actions) {
    act(world, next);
    world.advance(next.b % 40);
  }
  world.settle();
  return world;
}

function act(world: World, { kind, a, b }: Action): void {
  const client = world.clients[a % world.clients.length] as SimClient;
  switch (kind) {
    case 'advance':
      return world.advance(a % 5 === 0 ? b * 8 : b % 300);
    case 'connect':
      return client.connect();
    case 'request':
      for (let n = b % 4; n >= 0; n -= 1) client.request(b % 7 === 0 ? b % 90 : 0);
      return;
    case 'repeat-request':
      return client.repeatRequest(b);
    case 'cut':
      return client.connection === undefined ? undefined : world.network.cut(client.connection, a % 50, b % 200);
    case 'drop':
      return client.drop();
    case 'forget':
      return client.forget();
    case 'lose-token':
      return client.loseToken();
    case 'stall':
      return client.connection === undefined ? undefined : world.network.stall(client.connection, b % 2 === 0);
    case 'lazy-ack':
      client.ackEvery = 1 + (b % 6);
      return;
    case 'stop':
      return client.stop();
    default:
      return actOnServer(world, client, { kind, a, b });
  }
}

function actOnServer(world: World, client: SimClient, { kind, a, b }: Action): void {
  const { backend } = world;
  const { openid } = client.options;
  switch (kind) {
    case 'push': {
      const ttlMs = b % 3 === 0 ? 100 + b : 0;
      for (let n = a % 7 === 0 ? 14 : a % 4; n >= 0; n -= 1) {
        backend.push({
          openid,
          sessionId: '',
          bindClientSeq: 0,
          order: 'immediate',
          ttlMs,
          padding: a % 11 === 0 ? 700 : b % 90,
        });
      }
      return;
    }
    case 'bound-push': {
      const order = b % 2 === 0 ? 'before' : 'after';
      const ttlMs = b % 5 === 0 ? 50 + b : 0;
      return backend.push({ openid, sessionId: '', bindClientSeq: 1 + (b % 30), order, ttlMs, padding: 3 });
    }
    case 'broadcast':
      return backend.broadcast(a % 3 === 0 ? ['001'] : [], b % 4 === 0 ? [openid] : [], b % 3 === 0 ? b : 0, b % 80);
    case 'repeat-push':
      return backend.repeat(b % 20);
    case 'crash':
      return world.crash();
    case 'crash-backup':
      return world.crashBackup();
    case 'start-backup':
      return world.startBackup();
    case 'replay-token':
      return replayToken(world, client, b);
    case 'ack-past-end':
      return ackPastEnd(world, client, b);
  }
}

/** Someone uses a token that was replaced and is void: refused with a 3xxx code, the live session untouched. */
function replayToken(world: World, client: SimClient, which: number): void {
  const token = client.oldTokens[which % Math.max(1, client.oldTokens.length)];
  const { gateway } = world;
  if (gateway === undefined || token === undefined || !world.ledger.isVoid(token.sessionId, token.binding)) return;
  const before = gateway.machine.session(token.sessionId)?.binding;
  gateway.startWithToken(token, (outcome) => {
    const refused = outcome.kind === 'refused' && nextStep(outcome.code) !== 'reconnect';
    check(refused, 'rule 12', () => `a void token was answered ${JSON.stringify(outcome)}`);
  });
  const after = gateway.machine.session(token.sessionId)?.binding;
  check(before === after, 'rule 12', () => `a void token changed ${token.sessionId}`);
}

function ackPastEnd(world: World, client: SimClient, by: number): void {
  const { gateway } = world;
  const session = gateway?.machine.sessionOf(client.options.openid);
  if (gateway === undefined || session === undefined) return;
  const { sessionId } = session;
  gateway.submit({ kind: 'ack', sessionId, upTo: session.nextSeqId + (by % 5) }, (outcome) => {
    const refused = outcome.kind === 'refused' && outcome.code === ErrorCode.ERROR_PROTOCOL;
    check(refused || gateway.machine.session(sessionId) === undefined, 'I7', () => 'an ack past the end was taken');
  });
}
