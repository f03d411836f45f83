import { afterAll, describe, expect, it } from 'vitest';
import { faultsOf, progress } from './cluster.ts';
import { containerOf, Fleet, fleetName } from './lib/fleet.ts';
import { installOperator } from './lib/operator.ts';
import { describeInNamespace } from './lib/suite.ts';
import { LoadPod } from './load/load-pod.ts';
import type { LoadState } from './load/load-settings.ts';

const clients = 100;
/** Under load before a fault, and after it until the gap is read. */
const flowMs = 4_000;
const pausedMs = 8_000;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe('a GateSvr under load', () => {
  const results: string[] = [];
  let fleet: Fleet;
  let load: LoadPod;
  const suite = describeInNamespace('failover', async ({ cluster, namespace }) => {
    await installOperator(cluster);
    fleet = await Fleet.start(namespace);
    const settings = {
      clientEndpoints: [`${fleetName}-quic:8453`],
      zoneEndpoints: [`${fleetName}-upstream:8092`],
      advertiseHost: 'load',
      clients,
      pushPauseMs: 250,
      requestPauseMs: 500,
      seed: 1,
    };
    load = await LoadPod.start(namespace, settings, Fleet.loadFiles());
    await load.run();
  });
  afterAll(() => progress(`with ${clients} clients:\n  ${results.join('\n  ')}`));

  /** Under load before, during and after; whole again at the end. @returns what clients and zones saw */
  const suffer = async (name: string, fault: () => Promise<void>): Promise<LoadState> => {
    await load.run();
    await wait(flowMs);
    await load.watch();
    await fault();
    await wait(flowMs);
    const { gapMs } = await load.state();
    await fleet.untilWhole();
    const state = await load.settle();
    const { committed, degraded, seen, lost, lostDegraded, repeated, outOfOrder } = state.verdict;
    results.push(
      `${name}: gap ${gapMs} ms; so far ${committed} committed, ${degraded} degraded, ${seen} seen, ` +
        `${lost + lostDegraded} lost, ${repeated} repeated, ${outOfOrder} out of order`,
    );
    expect(state.verdict, state.findings.join('\n')).toMatchObject({
      lost: 0,
      lostDegraded: 0,
      repeated: 0,
      outOfOrder: 0,
    });
    expect(state.resets).toBe(0);
    expect(state.requests).toMatchObject({ wrong: [], carriedOutTwice: 0 });
    return state;
  };

  it('loses nothing when the process of the primary is killed', async () => {
    const before = await fleet.primary();
    const epoch = await fleet.epoch();
    await suffer('kill -9', async () => {
      await faultsOf(suite.cluster).signalContainer(before.spec.nodeName, containerOf(before), 'SIGKILL');
    });
    expect(await fleet.epoch()).toBeGreaterThan(epoch);
  });

  it('loses nothing when the pod of the primary is deleted by force', async () => {
    const before = await fleet.primary();
    const epoch = await fleet.epoch();
    await suffer('pod deleted by force', async () => {
      await suite.namespace.kubectl([
        'delete',
        'pod',
        before.metadata.name,
        '--force',
        '--grace-period=0',
        '--wait=false',
      ]);
    });
    expect(await fleet.epoch()).toBeGreaterThan(epoch);
  });

  it('loses nothing when the primary is stopped by SIGSTOP and goes on later', async () => {
    const before = await fleet.primary();
    const epoch = await fleet.epoch();
    const { signalContainer } = faultsOf(suite.cluster);
    await suffer('SIGSTOP', async () => {
      await signalContainer(before.spec.nodeName, containerOf(before), 'SIGSTOP');
      await wait(pausedMs);
      await signalContainer(before.spec.nodeName, containerOf(before), 'SIGCONT');
    });
    expect(await fleet.epoch()).toBeGreaterThan(epoch);
  });

  it('loses nothing and refuses nothing in a rolling update', async () => {
    const before = await load.state();
    const annotations = { 'e2e.gatesvr.io/updated': new Date().toISOString() };
    const after = await suffer('rolling update', async () => {
      const patch = JSON.stringify({ spec: { podTemplate: { annotations } } });
      await suite.namespace.kubectl(['patch', 'gatesvr', fleetName, '--type=merge', `--patch=${patch}`]);
      await wait(flowMs);
      await fleet.untilWhole();
    });
    expect(after.requests.failed).toEqual(before.requests.failed);
  });
});
