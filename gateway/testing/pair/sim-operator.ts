import type { LeaseContent } from '../../replication/arbiter.ts';
import { serverOf } from '../../replication/arbiter.ts';
import type { PairWorld, Server } from './pair-world.ts';

const lookMs = 150;

/** An operator replica: promotes when the backup has lost the primary and its own watch of the primary is lost. */
export class SimOperator {
  alive = true;
  #world: PairWorld;

  constructor(world: PairWorld) {
    this.#world = world;
    this.#look();
  }

  #look(): void {
    const { clock, random } = this.#world;
    clock.schedule(lookMs + random.between(0, 50), () => {
      if (this.alive) this.#decide();
      this.#look();
    });
  }

  #decide(): void {
    const { arbiter, clock, random, nodes, cutOff } = this.#world;
    const { lease } = arbiter;
    if (arbiter.down || lease === undefined) return;
    const holder = nodes.get(serverOf(lease.holder) as Server);
    const watchLost = holder?.alive !== true || holder.paused || holder.shard.incarnation !== lease.holder;
    const target = lease.inSync.find((incarnation) => incarnation !== lease.holder);
    const backup = target === undefined ? undefined : nodes.get(serverOf(target) as Server);
    if (!watchLost || target === undefined || backup?.alive !== true || backup.paused) return;
    if (backup.shard.incarnation !== target || !backup.shard.peerHeartbeatLost) return;
    const next: LeaseContent = {
      epoch: lease.epoch + 1,
      history: lease.history,
      holder: target,
      inSync: [target],
    };
    // It may die before each of its steps; whoever comes next finds the Lease and goes on.
    clock.schedule(random.between(1, 200), () => {
      if (!this.alive || arbiter.down) return;
      const expected = this.#world.options.plant.operatorSwaps ? lease : arbiter.lease;
      arbiter.answer({ kind: 'swap', expected, next });
      clock.schedule(random.between(1, 50), () => {
        if (this.alive && !cutOff.has(backup.serverId as Server)) {
          backup.run(() => backup.shard.lookAtLease(backup.nowMs()));
        }
      });
    });
  }
}
