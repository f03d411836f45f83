import type { GateSvr, GateSvrStatusPair } from '../api/gatesvr.ts';
import type { KubeClient } from '../kube-api.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { gateSvrs, pods } from '../resources.ts';

const switchoverKey = 'gatesvr.io/switchover';
const fencedKey = 'gatesvr.io/fenced';
const pollMs = 500;

/** What was asked for cannot be done, or was not done in time. */
export class OrderError extends Error {
  override readonly name = 'OrderError';
}

export interface OrderContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export async function readGateSvr(client: KubeClient, namespace: string, name: string): Promise<GateSvr> {
  const gateSvr = await client.get<GateSvr>(gateSvrs, namespace, name);
  if (gateSvr === undefined) throw new OrderError(`gatesvr/${name}: not found in namespace ${namespace}`);
  return gateSvr;
}

function pairOf(gateSvr: GateSvr, pod: string): GateSvrStatusPair {
  const pairs = gateSvr.status?.pairs ?? [];
  const pair = pairs.find(({ members = [] }) => members.some((member) => member.pod === pod));
  const known = pairs.flatMap(({ members = [] }) => members.map((member) => member.pod)).join(', ');
  if (pair === undefined)
    throw new OrderError(`${pod}: no pod of ${gateSvr.metadata.name}: expected ${known || 'none yet'}`);
  return pair;
}

function isInSync({ members = [], inSync = [] }: GateSvrStatusPair, pod: string): boolean {
  const incarnation = members.find((member) => member.pod === pod)?.incarnation;
  return incarnation !== undefined && inSync.includes(incarnation);
}

/**
 * A switchover: the operator hands over to this pod when it can, without a request that fails.
 * @throws {OrderError} when the pod does not hold the state, or is not primary after the timeout
 */
export async function promote(context: OrderContext, namespace: string, name: string, pod: string): Promise<void> {
  const { client, clock, timeoutMs, signal, say } = context;
  const before = await readGateSvr(client, namespace, name);
  const pair = pairOf(before, pod);
  if (pair.currentPrimary === pod) return say(`${pod} is the primary of ${pair.name} already`);
  if (!isInSync(pair, pod)) throw new OrderError(`${pod}: not in sync, and would lose sessions: wait until it is`);
  await client.patch(gateSvrs, namespace, name, { metadata: { annotations: { [switchoverKey]: pod } } });
  const deadlineMs = clock.nowMs() + timeoutMs;
  while (pairOf(await readGateSvr(client, namespace, name), pod).currentPrimary !== pod) {
    if (clock.nowMs() > deadlineMs) {
      throw new OrderError(`${pod}: not primary after ${timeoutMs / 1000} s: see the events of gatesvr/${name}`);
    }
    await sleep(clock, pollMs, signal);
  }
  say(`${pod} is the primary of ${pair.name}`);
}

/** A fenced pod is not promoted, and hands over if it is primary. */
export async function fence(context: OrderContext, namespace: string, pod: string, fenced: boolean): Promise<void> {
  const { client, say } = context;
  if ((await client.get(pods, namespace, pod)) === undefined) {
    throw new OrderError(`pod/${pod}: not found in namespace ${namespace}`);
  }
  await client.patch(pods, namespace, pod, { metadata: { annotations: { [fencedKey]: fenced ? 'true' : null } } });
  say(fenced ? `${pod} is fenced` : `${pod} is not fenced any more`);
}

/** Primaries leave a node: each hands over to its backup elsewhere, one after the other. */
export async function drain(context: OrderContext, fleets: readonly GateSvr[], node: string): Promise<void> {
  const { say } = context;
  let moved = 0;
  for (const { metadata, status = {} } of fleets) {
    for (const { members = [], currentPrimary, name } of status.pairs ?? []) {
      const primary = members.find(({ pod }) => pod === currentPrimary && pod !== undefined);
      if (primary?.node !== node) continue;
      const other = members.find((member) => member !== primary && member.node !== node)?.pod;
      if (other === undefined) {
        throw new OrderError(`${metadata.name} ${name}: no other pod away from ${node} to hand over to`);
      }
      await promote(context, metadata.namespace ?? '', metadata.name, other);
      moved += 1;
    }
  }
  say(`${moved} primaries left ${node}; now: kubectl drain ${node}`);
}
