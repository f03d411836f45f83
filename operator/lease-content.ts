import type { GateSvr } from './api/gatesvr.ts';
import { metadataOf, namesOf, selectorLabels } from './desired/names.ts';
import type { Lease } from './kube-objects.ts';
import type { LeaseView } from './pair-view.ts';
import type { NextLease } from './plan-failover.ts';

const epochKey = 'gatesvr.io/epoch';
const historyKey = 'gatesvr.io/history';
const inSyncKey = 'gatesvr.io/in-sync';
/** EPOCH/REASON of the last change of the holder that an operator made. */
const promotionKey = 'gatesvr.io/promotion';
const transitionsMax = 2_147_483_647;

export type PromotionReason = 'Bootstrap' | 'Failover' | 'Switchover' | 'Reset';

export type LeaseContent = Omit<LeaseView, 'seenMs'>;

/** What the Lease says; undefined when it says nothing that both gateways and operator understand. */
export function readLease({ metadata, spec }: Lease): LeaseContent | undefined {
  const {
    [epochKey]: epochText = '',
    [historyKey]: history = '',
    [inSyncKey]: members = '',
  } = metadata.annotations ?? {};
  const holder = spec?.holderIdentity ?? '';
  const epoch = /^[1-9]\d{0,15}$/.test(epochText) ? Number(epochText) : Number.NaN;
  const inSync = members.split(',');
  const valid = Number.isSafeInteger(epoch) && history !== '' && inSync.includes(holder) && inSync.every(isIncarnation);
  return valid ? { resourceVersion: metadata.resourceVersion ?? '', epoch, history, holder, inSync } : undefined;
}

function isIncarnation(text: string): boolean {
  return /^[^\s,/]+\/[^\s,/]+$/.test(text);
}

/** Why the holder of this epoch was named; undefined when no operator did it. */
export function promotionReasonOf({ metadata }: Lease, epoch: number): PromotionReason | undefined {
  const [at, reason] = (metadata.annotations?.[promotionKey] ?? '').split('/');
  return at === String(epoch) ? (reason as PromotionReason) : undefined;
}

/**
 * The Lease to write: created when `current` is undefined, else a compare-and-swap on its version. What others put into it
 * stays.
 */
export function nextLeaseObject(
  gateSvr: GateSvr,
  pairIndex: number,
  current: Lease | undefined,
  next: NextLease,
  made: { readonly reason: PromotionReason | undefined; readonly history: string; readonly wallMs: number },
): Lease {
  const own = metadataOf(gateSvr, namesOf(gateSvr).pair(pairIndex), { labels: selectorLabels(gateSvr, pairIndex) });
  const annotations = {
    ...current?.metadata.annotations,
    [epochKey]: String(next.epoch),
    [historyKey]: made.history,
    [inSyncKey]: next.inSync.join(','),
    ...(made.reason === undefined ? {} : { [promotionKey]: `${next.epoch}/${made.reason}` }),
  };
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { ...current?.metadata, ...own, annotations },
    spec: {
      ...current?.spec,
      holderIdentity: next.holder,
      leaseTransitions: Math.min((current?.spec?.leaseTransitions ?? 0) + 1, transitionsMax),
      acquireTime: new Date(made.wallMs).toISOString().replace('Z', '000Z'),
    },
  };
}
