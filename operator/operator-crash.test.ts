import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { KubeApiError } from './kube-api.ts';
import { events, gateSvrs, leases, pods } from './resources.ts';
import type { Write } from './testing/memory-kube.ts';
import type { Operator, PairCluster } from './testing/pair-cluster.ts';
import { epochOf, eventReasons, flipped, type Said, said, startedPair } from './testing/pair-scenarios.ts';

/** Writes about the pair itself, without those that only tell people. */
function countsAsStep({ resource, body }: Write): boolean {
  const status = (body as { status?: { pairs?: unknown } } | undefined)?.status;
  return resource !== events && (resource !== gateSvrs || status?.pairs !== undefined || status === undefined);
}

interface Crash {
  readonly cluster: PairCluster;
  /** The write after which the operator died; undefined when there were fewer. */
  readonly write: string | undefined;
  readonly said: Said;
}

/** A pair whose operator dies after its `at`th write once `fault` has happened; nobody goes on yet. */
async function crashAfter(at: number, fault: (cluster: PairCluster) => void, runMs: number): Promise<Crash> {
  const { cluster, operator } = await startedPair();
  operator.kill();
  const state = { armed: false, steps: 0, write: undefined as string | undefined };
  const victim: Operator = cluster.startOperator({
    afterWrite: (write) => {
      if (!state.armed || !countsAsStep(write)) return;
      state.steps += 1;
      if (state.steps < at || state.write !== undefined) return;
      state.write = `${write.verb} ${write.resource.plural} ${write.name}`;
      victim.kill();
    },
  });
  await cluster.run(300);
  state.armed = true;
  fault(cluster);
  for (let passed = 0; passed < runMs && state.write === undefined; passed += 100) await cluster.run(100);
  victim.kill();
  return { cluster, write: state.write, said: said(cluster) };
}

function row(name: string, { holder, slices, labels, target, current }: Said): string {
  const pods = [holder, slices, target, current].map((pod) => pod.replace('chat-p0-', '').replace('-0', ''));
  const [lease, slice, wanted, now] = pods;
  return `| ${name} | ${lease} | ${slice} | ${labels} | ${wanted} | ${now} |`;
}

describe('an operator that dies in a failover', () => {
  const doc = readFileSync(new URL('../docs/operator-failover.md', import.meta.url), 'utf8');
  const table = doc.split('\n').filter((line) => /^\| `(apply|replace|patch) /.test(line));

  it('leaves what the documentation says, after each write, and another operator finishes it', async () => {
    const rows: string[] = [];
    for (let at = 1; ; at += 1) {
      const {
        cluster,
        write,
        said: left,
      } = await crashAfter(
        at,
        (all) => {
          all.gateway('chat-p0-a-0').alive = false;
        },
        500,
      );
      if (write === undefined) break;
      rows.push(row(`\`${write.replace('applyStatus', 'apply status of')}\``, left));
      const epoch = epochOf(cluster);
      const swapped = left.holder === 'chat-p0-b-0';
      cluster.gateway('chat-p0-a-0').restart();
      cluster.startOperator();
      await cluster.until(`${write}: it is finished`, () => said(cluster).current === 'chat-p0-b-0', 5_000);
      await cluster.run(1_200);
      expect(said(cluster), write).toEqual(flipped);
      expect(epochOf(cluster), write).toBe(swapped ? epoch : epoch + 1);
      expect(eventReasons(cluster), write).toEqual(['Bootstrapped', 'FailedOver', 'FailingOver']);
      expect(cluster.gateSvr().status?.pairs?.[0], write).toMatchObject({ lastPromotionReason: 'Failover' });
      expect(cluster.gateSvr().status?.pairs?.[0]?.currentPrimaryFailingSince, write).toBeUndefined();
    }
    expect(rows).toEqual(table);
  });

  it('before its first write: the next one has never heard the primary, and the backup decides', async () => {
    const { cluster, operator } = await startedPair();
    operator.kill();
    cluster.gateway('chat-p0-a-0').alive = false;
    cluster.startOperator();
    await cluster.run(3_000);
    expect(said(cluster).holder).toBe('chat-p0-a-0');
    cluster.gateway('chat-p0-b-0').promoteItself();
    await cluster.run(1_000);
    expect(said(cluster)).toEqual(flipped);
    expect(eventReasons(cluster)).toContain('FailedOver');
  });
});

describe.each([
  [
    'switchover',
    (cluster: PairCluster) =>
      cluster.patch(pods, 'chat-p0-a-0', { metadata: { annotations: { 'gatesvr.io/fenced': 'true' } } }),
  ],
  ['rollout', (cluster: PairCluster) => cluster.patch(gateSvrs, 'chat', { spec: { image: 'gateway:2' } })],
])('an operator that dies in a %s', (name, fault) => {
  it('is followed by one that finishes it, whichever write was its last', async () => {
    let crashes = 0;
    for (let at = 1; ; at += 1) {
      const { cluster, write } = await crashAfter(at, fault, name === 'rollout' ? 6_000 : 1_500);
      if (write === undefined) break;
      crashes += 1;
      cluster.startOperator();
      const wanted = name === 'rollout' ? ['gateway:2', 'gateway:2'] : ['gateway:1', 'gateway:1'];
      const versions = () => ['a', 'b'].map((member) => cluster.gateways.get(`chat-p0-${member}-0`)?.version);
      const isDone = (): boolean => said(cluster).current === 'chat-p0-b-0' && versions().join() === wanted.join();
      await cluster.until(`${at}: ${write}: it is finished`, isDone, 20_000);
      await cluster.run(500);
      expect(said(cluster), `${at}: ${write}`).toEqual(flipped);
      const reasons = eventReasons(cluster);
      expect(
        reasons.filter((reason) => reason === 'SwitchedOver'),
        `${at}: ${write}`,
      ).toHaveLength(1);
      expect(reasons, `${at}: ${write}`).not.toContain('FailedOver');
    }
    expect(crashes).toBeGreaterThan(4);
  });
});

describe('two operators', () => {
  it('that both believe to lead promote once, and tell it once', async () => {
    const { cluster } = await startedPair();
    cluster.startOperator();
    await cluster.run(2_000);
    const epoch = epochOf(cluster);
    cluster.gateway('chat-p0-a-0').alive = false;
    await cluster.run(2_000);
    expect(said(cluster)).toEqual(flipped);
    expect(epochOf(cluster)).toBe(epoch + 1);
    expect(eventReasons(cluster)).toEqual(['Bootstrapped', 'FailedOver', 'FailingOver']);
    const changes = cluster.store.changes;
    await cluster.run(30_000);
    expect(cluster.store.changes).toBe(changes);
  });

  it('of which the leader is lost with the primary: the other promotes without leading', async () => {
    const { cluster, operator } = await startedPair();
    const standby = cluster.startOperator({ leader: false });
    await cluster.run(2_000);
    expect(standby.client.writes).toEqual([]);
    operator.kill();
    cluster.gateway('chat-p0-a-0').alive = false;
    await cluster.run(1_000);
    expect(said(cluster)).toEqual(flipped);
  });
});

describe('the cluster', () => {
  it('without its API server for a minute promotes nobody, and is put right afterwards', async () => {
    const { cluster, operator } = await startedPair();
    operator.kill();
    const api = { away: false };
    const refuse = (): void => {
      if (api.away) throw new KubeApiError('no answer', { status: 0 });
    };
    cluster.startOperator({ beforeWrite: refuse });
    await cluster.run(2_000);
    api.away = true;
    const epoch = epochOf(cluster);
    cluster.gateway('chat-p0-a-0').alive = false;
    await cluster.run(60_000);
    expect(epochOf(cluster)).toBe(epoch);
    api.away = false;
    await cluster.until(
      'it is promoted',
      () => said(cluster).labels === flipped.labels && said(cluster).current === flipped.current,
    );
    expect(epochOf(cluster)).toBe(epoch + 1);
  });

  it('whose GateSvr is deleted and made again begins anew', async () => {
    const { cluster } = await startedPair();
    const before = cluster.get(leases, 'chat-p0');
    const podUid = cluster.get(pods, 'chat-p0-a-0').metadata.uid;
    cluster.store.delete(gateSvrs, 'games', 'chat');
    await cluster.run(1_000);
    await cluster.keysAreMade(cluster.createGateSvr().spec.pairs);
    await cluster.until(
      'it is ready again',
      () =>
        cluster.gateSvr().status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ===
        true,
    );
    const after = cluster.get(leases, 'chat-p0');
    const history = 'gatesvr.io/history';
    expect(after.metadata.annotations?.[history]).not.toBe(before.metadata.annotations?.[history]);
    expect(after.metadata.uid).not.toBe(before.metadata.uid);
    expect(cluster.get(pods, 'chat-p0-a-0').metadata.uid).not.toBe(podUid);
  });
});
