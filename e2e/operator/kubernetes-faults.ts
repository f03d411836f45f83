import { otherMember, until } from '../../bench/lib/pair.ts';
import type { KubernetesPair } from './kubernetes-pair.ts';

/** What happens to a pair in Kubernetes. Each begins and ends with one member leading and the other in sync. */
export type KubernetesFault = (pair: KubernetesPair) => Promise<void>;

function check(isSo: boolean, what: string, pair: KubernetesPair): void {
  if (!isSo) throw new Error(`${what}\n${pair.processes.report()}`);
}

/** Nobody made the Lease beforehand: the gateway that is to be primary did (rule 14). */
export const firstPromotion: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  const lease = await pair.lease();
  const { id, epoch, incarnation } = await pair.shard(primary);
  check(id === pair.store.name, `shard ${id}`, pair);
  check(epoch === lease.epoch && incarnation === lease.holder, `${JSON.stringify(lease)}: another than ${epoch}`, pair);
  check(lease.epoch > 1_700_000_000, `epoch ${lease.epoch}: expected seconds of today`, pair);
};

export const backupDies: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  const { epoch } = await pair.lease();
  await pair.processes.signal(otherMember(primary), 'SIGKILL');
  await pair.untilLease('the set shrinks', ({ inSync }) => inSync.length === 1);
  await pair.untilCommits(primary);
  await pair.processes.startMember(otherMember(primary));
  check((await pair.untilWhole()) === primary, 'the primary moved', pair);
  check((await pair.lease()).epoch === epoch, 'the epoch rose', pair);
};

/** No operator: the backup's own evidence is enough (rule 13). */
export const primaryDies: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  const before = await pair.lease();
  await pair.processes.signal(primary, 'SIGKILL');
  await pair.untilPrimary(otherMember(primary));
  const after = await pair.lease();
  check(after.epoch === before.epoch + 1 && after.history === before.history, JSON.stringify([before, after]), pair);
  await pair.processes.startMember(primary);
  await pair.untilWhole();
};

/** No operator and no evidence of a death: the backup waits two timeouts, then takes over; the old one steps down. */
export const primaryStandsStill: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  const before = await pair.lease();
  await pair.processes.signal(primary, 'SIGSTOP');
  await pair.untilPrimary(otherMember(primary));
  await pair.processes.signal(primary, 'SIGCONT');
  check((await pair.untilWhole()) === otherMember(primary), 'the old one leads again', pair);
  check((await pair.lease()).epoch === before.epoch + 1, 'not one promotion', pair);
  check(pair.processes.output(primary).includes('"role":"deposed"'), 'the old one did not step down', pair);
};

/** An operator swaps: both learn of it by their watch, long before any timeout. */
export const operatorPromotes: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  const heir = otherMember(primary);
  const { incarnation, epoch } = await pair.shard(heir);
  await pair.promoteByHand(incarnation);
  await pair.untilPrimary(heir);
  check((await pair.untilWhole()) === heir, 'the heir did not stay', pair);
  check((await pair.lease()).epoch === epoch + 1, 'not one promotion', pair);
};

/** The data plane goes on without the API server (faults 11 and 26). */
export const apiServerAway: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  pair.cutApi();
  for (let round = 0; round < 3; round += 1) await pair.untilCommits(primary);
  check((await pair.processes.look(primary))?.ready === true, 'the primary is not ready', pair);
  pair.healApi();
  check((await pair.untilWhole()) === primary, 'the primary moved', pair);
};

/** Without the API server nothing is committed alone: the set cannot shrink (I2). */
export const backupDiesWithoutApi: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  pair.cutApi();
  await pair.processes.signal(otherMember(primary), 'SIGKILL');
  const unready = async () => (await pair.processes.look(primary))?.ready === false;
  await until('the primary stops answering', unready, pair.processes.report);
  const logged = () => pair.processes.output(primary).includes('the Lease cannot be used');
  await until('it says that the Lease is away', logged, pair.processes.report);
  const before = await pair.shard(primary);
  check((await pair.lease()).inSync.length === 2, 'the set shrank', pair);
  check((await pair.shard(primary)).commitIndex === before.commitIndex, 'it commits alone', pair);
  pair.healApi();
  await pair.untilCommits(primary);
  await pair.processes.startMember(otherMember(primary));
  check((await pair.untilWhole()) === primary, 'the primary moved', pair);
};

export const leaseDeleted: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  const before = await pair.lease();
  await pair.store.remove();
  const after = await pair.untilLease('it is made again', ({ epoch }) => epoch > before.epoch);
  check(after.history === before.history && after.holder === before.holder, JSON.stringify([before, after]), pair);
  check((await pair.untilWhole()) === primary, 'the primary moved', pair);
};

/** Somebody edits the Lease: told by field and value, and nothing stops. */
export const leaseSpoiled: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  const { epoch } = await pair.lease();
  await pair.annotate('gatesvr.io/epoch', 'soon');
  const said = () => pair.processes.output(primary).includes('[gatesvr.io/epoch]: \\"soon\\": expected a whole number');
  await until('it says what is wrong', said, pair.processes.report);
  await pair.untilCommits(primary);
  await pair.annotate('gatesvr.io/epoch', String(epoch));
  await pair.processes.signal(otherMember(primary), 'SIGKILL');
  await pair.untilLease('it can be written again', ({ inSync }) => inSync.length === 1);
  await pair.processes.startMember(otherMember(primary));
  await pair.untilWhole();
};

/** SIGTERM hands over first; nobody waits for a timeout (rule 16). */
export const primaryIsStopped: KubernetesFault = async (pair) => {
  const primary = await pair.untilWhole();
  const before = await pair.lease();
  const code = await pair.processes.signal(primary, 'SIGTERM');
  check(code === 0, `exit code ${code}`, pair);
  check(pair.processes.output(primary).includes('"ok":true'), 'no switchover', pair);
  await pair.untilPrimary(otherMember(primary));
  const after = await pair.lease();
  check(
    after.epoch === before.epoch + 1 && before.inSync.includes(after.holder),
    JSON.stringify([before, after]),
    pair,
  );
  await pair.processes.startMember(primary);
  await pair.untilWhole();
};

/** Nobody is left who holds anything: a new history begins, above every epoch before it. */
export const bothDie: KubernetesFault = async (pair) => {
  await pair.untilWhole();
  const before = await pair.lease();
  await Promise.all([pair.processes.signal('a', 'SIGKILL'), pair.processes.signal('b', 'SIGKILL')]);
  await pair.processes.startMember('a');
  await pair.processes.startMember('b');
  await pair.untilWhole();
  const after = await pair.lease();
  check(after.epoch > before.epoch && after.history !== before.history, JSON.stringify([before, after]), pair);
};
