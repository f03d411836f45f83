import { Buffer } from 'node:buffer';
import { BroadcastPushRequest, UnicastPushRequest } from '../../../proto/gen/upstream.ts';
import { identityOf } from '../../servers/push-conversion.ts';
import { broadcast, unicast } from '../../servers/routed-calls.ts';
import { type FleetPlant, FleetWorld, nothingPlanted } from './fleet-world.ts';

const steps = 60;

/** Plays one seed to its end. @throws ViolationError when an invariant does not hold. */
export async function runFleet(seed: number, plant: FleetPlant = nothingPlanted): Promise<FleetWorld> {
  const world = new FleetWorld(seed, plant);
  await world.advance(1_000);
  for (let step = 0; step < steps; step += 1) {
    act(world, `${seed}-${step}`);
    await world.advance(world.random.between(0, 150));
  }
  await world.settle();
  return world;
}

function act(world: FleetWorld, name: string): void {
  const kind = world.random.between(0, 99);
  if (kind < 60) return push(world, name);
  if (kind < 72) return pushToAll(world, name);
  if (kind < 80) return world.crash(world.anyGateway());
  if (kind < 86) return world.breakLinks();
  if (kind < 90) return world.silenceLinks();
  if (kind < 96) return world.newMap();
  world.store.entries.clear();
}

/** Several at once, at any gateway that serves; one in five has no id. */
function push(world: FleetWorld, name: string): void {
  const { clock, random, ledger } = world;
  const gateway = world.anyGateway();
  if (!gateway.serving) return;
  for (let n = random.between(1, 4); n > 0; n -= 1) {
    const pushId = `${name}-${n}`;
    const openid = world.users[random.between(0, world.users.length - 1)]?.openid ?? '';
    const named = random.chance(0.8) ? pushId : '';
    const data = Buffer.from(`|${pushId}|`);
    const request = UnicastPushRequest.fromPartial({ pushId: named, openid, data });
    const askedMs = clock.nowMs();
    ledger.asked(pushId);
    unicast(gateway.context, request, identityOf(named), (response) => {
      ledger.answeredPush(pushId, response, clock.nowMs() - askedMs);
    });
  }
}

function pushToAll(world: FleetWorld, name: string): void {
  const { clock, ledger } = world;
  const gateway = world.anyGateway();
  if (!gateway.serving) return;
  const request = BroadcastPushRequest.fromPartial({ pushId: name, data: Buffer.from(`|${name}|`) });
  const askedMs = clock.nowMs();
  ledger.asked(name);
  broadcast(gateway.context, request, identityOf(name), (response) => {
    ledger.answeredBroadcast(name, response, clock.nowMs() - askedMs);
  });
}
