import { runChild } from '../../bench/lib/child.ts';
import {
  commandLine,
  type MemberName,
  memberNames,
  otherMember,
  type PairProcesses,
  until,
} from '../../bench/lib/pair.ts';
import { PushError, type PushLevelName } from '../../gateway/zone-server/zone-server.ts';
import type { LinkProxy } from './link-proxy.ts';
import type { PairLoad } from './pair-load.ts';

/** A pair under load and the links between its members, each way. */
export interface PairWorld {
  readonly pair: PairProcesses;
  readonly load: PairLoad;
  /** By the member that dials. */
  readonly links: Readonly<Record<MemberName, readonly LinkProxy[]>>;
}

/** Something that happens to a pair. Each ends with both members up, one of them in sync with the other. */
export type Fault = (world: PairWorld) => Promise<void>;

/** Waits until a push is answered with this level. */
export async function untilPushed(world: PairWorld, level: PushLevelName): Promise<void> {
  let last = '';
  const isPushed = async () => {
    try {
      last = await world.load.probe();
    } catch (error) {
      if (!(error instanceof PushError)) throw error;
      last = error.message;
    }
    return last === level;
  };
  await until(`a push is answered ${level}`, isPushed, () => `${last}\n${world.pair.report()}`);
}

/** Waits for some pushes that are safe on both: a fault that follows at once would find none under way. */
async function untilCalm({ load, pair }: PairWorld): Promise<void> {
  if (!load.running) return;
  const committed = () => load.levels.get('committed') ?? 0;
  const enough = committed() + load.clients;
  await until('pushes are committed', () => committed() >= enough, pair.report);
}

/** Waits until the pair is whole again, pushes are safe on both, and every client is there. */
export async function untilWhole(world: PairWorld): Promise<MemberName> {
  const { pair, load } = world;
  const primary = await pair.untilInSync();
  await untilPushed(world, 'committed');
  await untilCalm(world);
  const missing = () => `${load.connected} of ${load.clients}\n${pair.report()}`;
  await until('all clients are connected', () => load.connected === load.clients, missing);
  return primary;
}

async function epochOf({ pair }: PairWorld, name: MemberName): Promise<number> {
  return (await pair.look(name))?.epoch ?? 0;
}

/** The primary dies at once; it comes back as a backup. */
export const killPrimary: Fault = async (world) => {
  const { pair } = world;
  const primary = await pair.untilInSync();
  await pair.signal(primary, 'SIGKILL');
  await pair.untilPrimary(otherMember(primary));
  await untilPushed(world, 'committed-degraded');
  await pair.startMember(primary);
  await untilWhole(world);
};

export const killBackup: Fault = async (world) => {
  const { pair } = world;
  const primary = await pair.untilInSync();
  const epoch = await epochOf(world, primary);
  await pair.signal(otherMember(primary), 'SIGKILL');
  await untilPushed(world, 'committed-degraded');
  await pair.startMember(otherMember(primary));
  const after = await untilWhole(world);
  if (after !== primary || (await epochOf(world, primary)) !== epoch) {
    throw new Error(`the backup was killed and ${after} leads\n${pair.report()}`);
  }
};

/** Nobody is left who holds what was promised: a new history begins. */
export const killBoth: Fault = async (world) => {
  const { pair } = world;
  await Promise.all(memberNames.map((name) => pair.signal(name, 'SIGKILL')));
  for (const name of memberNames) await pair.startMember(name);
  await untilWhole(world);
};

/** The primary stands still, is replaced, and wakes up believing that it is still primary. */
export const pausePrimary: Fault = async (world) => {
  const { pair } = world;
  const primary = await pair.untilInSync();
  const epoch = await epochOf(world, primary);
  await pair.signal(primary, 'SIGSTOP');
  await pair.untilPrimary(otherMember(primary));
  await untilPushed(world, 'committed-degraded');
  await pair.signal(primary, 'SIGCONT');
  const after = await untilWhole(world);
  const risen = (await epochOf(world, after)) > epoch;
  if (after === primary || !risen || !pair.output(primary).includes('"role":"deposed"')) {
    throw new Error(`${primary} was paused as primary and did not step down\n${pair.report()}`);
  }
};

export const pauseBackup: Fault = async (world) => {
  const { pair } = world;
  const primary = await pair.untilInSync();
  await pair.signal(otherMember(primary), 'SIGSTOP');
  await untilPushed(world, 'committed-degraded');
  await pair.signal(otherMember(primary), 'SIGCONT');
  await untilWhole(world);
};

/** SIGTERM: the primary hands over before it ends. */
export const stopPrimary: Fault = async (world) => {
  const { pair } = world;
  const primary = await pair.untilInSync();
  const code = await pair.signal(primary, 'SIGTERM');
  if (code !== 0) throw new Error(`${primary} ended with ${code}\n${pair.report()}`);
  if (!pair.output(primary).includes('"ok":true')) throw new Error(`no switchover\n${pair.report()}`);
  await pair.untilPrimary(otherMember(primary));
  await pair.startMember(primary);
  await untilWhole(world);
};

/** An administrator hands the shard over; no process ends. */
export const demotePrimary: Fault = async (world) => {
  const { pair } = world;
  const primary = await pair.untilInSync();
  const flags = ['--gateway', pair.addresses[primary].grpc];
  await runChild(process.execPath, [commandLine, 'admin', 'demote', ...flags]);
  await pair.untilPrimary(otherMember(primary));
  await untilWhole(world);
};

async function whileCut(links: readonly LinkProxy[], during: () => Promise<void>): Promise<void> {
  for (const link of links) link.cut();
  try {
    await during();
  } finally {
    for (const link of links) link.heal();
  }
}

/** Both members live and cannot see each other: both lead until the links are healed, then the higher epoch stays. */
export const cutLinks: Fault = async (world) => {
  const { pair, links } = world;
  const primary = await pair.untilInSync();
  const backup = otherMember(primary);
  await whileCut([...links.a, ...links.b], async () => {
    await pair.untilPrimary(backup);
    await untilPushed(world, 'committed-degraded');
  });
  const after = await untilWhole(world);
  if (after !== backup) throw new Error(`${backup} has the higher epoch and ${after} leads\n${pair.report()}`);
};

const flaps = 4;
const flapMs = 150;

/** The links come and go, each time for less than the heartbeat timeout: nothing is decided. */
export const flapLinks: Fault = async (world) => {
  const { pair, links } = world;
  const primary = await pair.untilInSync();
  const epoch = await epochOf(world, primary);
  for (let flap = 0; flap < flaps; flap += 1) {
    await whileCut([...links.a, ...links.b], () => new Promise((resolve) => setTimeout(resolve, flapMs)));
    await untilPushed(world, 'committed');
  }
  await untilWhole(world);
  if ((await epochOf(world, primary)) !== epoch) throw new Error(`a short cut moved the shard\n${pair.report()}`);
};
