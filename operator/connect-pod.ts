import type { GateSvr } from './api/gatesvr.ts';
import { namesOf, namespaceOf } from './desired/names.ts';
import type { Secret } from './desired/secrets.ts';
import { connectGateways, type LinkTls } from './gateway-link/gateway-link.ts';
import type { ConnectPod } from './gateway-peers.ts';
import type { Clock } from './lib/clock.ts';
import { durationMs } from './lib/duration.ts';
import type { ObjectStore } from './object-store.ts';

export interface PodConnections {
  readonly secrets: ObjectStore<Secret>;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Links to gateways, with the GateSvr's own certificates and by its own heartbeat. */
export function connectPods({ secrets, clock, random }: PodConnections): ConnectPod {
  return (gateSvr, target, changed) => {
    const silenceMs = durationMs(gateSvr.spec.failover.heartbeatTimeout);
    const askedMs = durationMs(gateSvr.spec.failover.heartbeatInterval);
    const intervalMs = Math.min(askedMs, silenceMs / 3);
    const tls = (): LinkTls | undefined => tlsOf(gateSvr, secrets);
    return connectGateways({ tls, intervalMs, silenceMs, clock, random })(target, changed);
  };
}

/** What was read of a Secret: the links of one GateSvr share it, until the Secret is another. */
const readOf = new WeakMap<Secret, LinkTls>();

/** undefined while the Secret is not there, or not complete. */
function tlsOf(gateSvr: GateSvr, secrets: ObjectStore<Secret>): LinkTls | undefined {
  const secret = secrets.get(namespaceOf(gateSvr), namesOf(gateSvr).operatorTls);
  if (secret === undefined) return undefined;
  const known = readOf.get(secret);
  if (known !== undefined) return known;
  const textOf = (key: string): string => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8');
  const tls = { authority: textOf('ca.crt'), certificate: textOf('tls.crt'), privateKey: textOf('tls.key') };
  if (Object.values(tls).includes('')) return undefined;
  readOf.set(secret, tls);
  return tls;
}
