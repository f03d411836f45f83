import { check } from '../sessions/ledger.ts';
import type { SimClient } from '../sessions/sim-client.ts';
import { checkSettled } from './pair-checks.ts';
import { nothingPlanted, type PairPlant, PairWorld, type Server, servers } from './pair-world.ts';
import { calmLink, type LinkFaults } from './sim-link.ts';

/** No client of the network has this one. */
const strangerConnection = 1_000_000;

type Fault = (world: PairWorld, server: Server) => void;

/** Faults by their numbers in the catalogue; each ends by itself or when the world is healed. */
const faults: readonly (readonly [number, Fault])[] = [
  [6, (world, server) => killAndRestart(world, server)], // 1, 2, 29
  [1, killBoth], // 3
  [3, (world, server) => pause(world, server, world.random.between(200, 4_000))], // 5, 6, 7
  [2, (world) => cut(world, servers)], // 8
  [2, (world, server) => cut(world, [server])], // 9, 10
  [2, (world) => flap(world)], // 13
  [1, (world, server) => disturb(world, server)],
  [
    2,
    (world, server) =>
      forAWhile(
        world,
        () => world.cutOff.add(server),
        () => world.cutOff.delete(server),
      ),
  ], // 11
  [
    1,
    (world) =>
      forAWhile(
        world,
        () => setDown(world, true),
        () => setDown(world, false),
      ),
  ], // 26
  [
    2,
    (world) =>
      forAWhile(
        world,
        () => setLost(world, 0.4),
        () => setLost(world, 0),
      ),
  ],
  [1, (world, server) => moveClock(world, server)], // 17, 18
  [2, (world) => loseOperators(world)], // 27, 28
  [1, (world) => world.arbiter.lose()],
  [1, (world) => stormOfReconnects(world)], // 45
  [2, (world, server) => switchOver(world, server)],
  [1, stealSession], // 42
  [1, secondDevice], // 43
];
const weightSum = faults.reduce((sum, [weight]) => sum + weight, 0);

/** Plays one seeded run to its end. @throws ViolationError when an invariant does not hold. */
export function runPair(seed: number, standalone: boolean, plant: PairPlant = nothingPlanted): PairWorld {
  const undo = plant.patch();
  try {
    return play(new PairWorld({ seed, standalone, plant }));
  } finally {
    undo();
  }
}

function play(world: PairWorld): PairWorld {
  for (const client of world.clients.slice(0, -1)) client.connect();
  world.advance(world.random.between(500, 3_500));
  const steps = world.random.between(6, 24);
  for (let step = 0; step < steps; step += 1) {
    for (let n = world.random.between(0, 4); n > 0; n -= 1) doWork(world);
    if (world.random.chance(0.35)) fault(world);
    world.advance(world.random.chance(0.15) ? world.random.between(500, 2_500) : world.random.between(5, 250));
  }
  world.heal();
  world.advance(14_000);
  checkSettled(world);
  return world;
}

function doWork(world: PairWorld): void {
  const { random, backend, clients } = world;
  // The second device comes only with its fault.
  const client = clients[random.between(0, clients.length - 2)] as SimClient;
  const kind = random.between(0, 11);
  if (kind < 5) backend.push(client.options.openid, random.chance(0.1) ? random.between(100, 2_000) : 0);
  else if (kind < 8) client.request(random.chance(0.1) ? random.between(1, 5) : 0);
  else if (kind === 8) backend.repeat(random.between(0, 8));
  else if (kind === 9) client.drop();
  else if (kind === 10) client.repeatRequest(random.between(0, 3));
  else client.loseToken();
}

function fault(world: PairWorld): void {
  let drawn = world.random.between(0, weightSum - 1);
  const server = servers[world.random.between(0, 1)] ?? 'A';
  for (const [weight, begin] of faults) {
    drawn -= weight;
    if (drawn < 0) return begin(world, server);
  }
}

function forAWhile(world: PairWorld, begin: () => void, end: () => void): void {
  begin();
  world.clock.schedule(world.random.between(50, 3_000), end);
}

function killAndRestart(world: PairWorld, server: Server): void {
  world.crash(server);
  const afterMs = world.random.chance(0.5) ? world.random.between(10, 400) : world.random.between(400, 5_000);
  world.clock.schedule(afterMs, () => world.startNode(server));
}

function killBoth(world: PairWorld): void {
  for (const server of servers) killAndRestart(world, server);
}

function pause(world: PairWorld, server: Server, ms: number): void {
  const node = world.nodes.get(server);
  if (node?.alive !== true) return;
  node.paused = true;
  world.clock.schedule(ms, () => node.proceed());
}

function cut(world: PairWorld, ways: readonly Server[]): void {
  const set = (to: boolean) => {
    for (const server of ways) world.links[server].cut = to;
  };
  forAWhile(
    world,
    () => set(true),
    () => set(false),
  );
}

function flap(world: PairWorld): void {
  const everyMs = world.random.between(100, 400);
  for (let n = 0; n < 6; n += 1) {
    world.clock.schedule(n * everyMs, () => {
      for (const server of servers) world.links[server].cut = n % 2 === 0 && !world.healed;
    });
  }
}

function disturb(world: PairWorld, server: Server): void {
  const link = world.links[server];
  const bad = { maxDelayMs: 150, lossRate: 0.05, lateRate: 0.03, duplicateRate: 0.05, corruptRate: 0.05 };
  const set = (to: LinkFaults) => {
    link.faults = to;
  };
  forAWhile(
    world,
    () => set(bad),
    () => set({ ...calmLink }),
  );
}

function setDown(world: PairWorld, down: boolean): void {
  world.arbiter.down = down;
}

function setLost(world: PairWorld, share: number): void {
  world.arbiter.lostReplies = share;
}

function moveClock(world: PairWorld, server: Server): void {
  const node = world.nodes.get(server);
  if (node === undefined) return;
  node.wallOffsetMs = world.random.between(-3_600_000, 3_600_000);
  if (world.random.chance(0.5)) node.clockRate = 2;
}

function loseOperators(world: PairWorld): void {
  const set = (alive: boolean) => {
    for (const operator of world.operators) operator.alive = alive;
  };
  forAWhile(
    world,
    () => set(false),
    () => set(true),
  );
}

function stormOfReconnects(world: PairWorld): void {
  for (const client of world.clients) client.drop();
}

/** Someone names another's session and has no proof of it. */
function stealSession(world: PairWorld): void {
  const victim = world.clients[0]?.life?.sessionId ?? '';
  const node = world.anyPrimary();
  node?.run(() => {
    const place = { sessionId: victim, epoch: node.shard.epoch, receivedSeqId: 0 };
    node.submit({ ...node.startCommand('mallory', strangerConnection), place }, (outcome) => {
      if (outcome.kind !== 'started') return;
      const { sessionId } = outcome;
      check(sessionId !== victim, 'rule 12', () => `${victim} was taken without its token`);
      node.submit({ kind: 'close', sessionId, code: 0, reason: 'stop' });
    });
  });
}

/** The same user on another device: the newest binding wins, the other is told for good. */
function secondDevice(world: PairWorld): void {
  const device = world.clients.find(({ options }) => options.name === 'dan2');
  if (device?.lives.length === 0) device.connect();
}

function switchOver(world: PairWorld, server: Server): void {
  const node = world.nodes.get(server);
  node?.run(() => {
    const successor = node.shard.inSync.find((incarnation) => incarnation !== node.shard.incarnation);
    if (successor === undefined || node.shard.role !== 'primary') return;
    node.shard.switchover(node.nowMs(), successor, 1_000, () => {});
  });
}
