import type { GateSvr } from '../api/gatesvr.ts';
import type { KubeObject } from '../kube-api.ts';
import { type DesiredObject, metadataOf, namesOf } from './names.ts';
import type { AuthorityState, Identity } from './plan-authority.ts';

interface SecretData extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

interface Written {
  readonly nextSinceMs?: number;
  readonly former: readonly { readonly certificate: string; readonly untilMs: number }[];
}

/** The Secret that holds an authority; no pod mounts it. */
export function authoritySecret(gateSvr: GateSvr, { active, next, former }: AuthorityState): DesiredObject {
  const written: Written = { ...(next === undefined ? {} : { nextSinceMs: next.sinceMs }), former };
  const texts = {
    ...(active === undefined ? {} : { 'tls.crt': active.certificate, 'tls.key': active.privateKey }),
    ...(next === undefined ? {} : { 'next.crt': next.certificate, 'next.key': next.privateKey }),
    'state.json': JSON.stringify(written),
  };
  const data = Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadataOf(gateSvr, namesOf(gateSvr).authority),
    type: 'Opaque',
    data: Object.fromEntries(data),
  };
}

/** What such a Secret holds. One that somebody has made useless counts as an authority that was lost. */
export function readAuthority({ data = {} }: SecretData): AuthorityState {
  const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
  const identity = (name: string): Identity | undefined => {
    const [certificate, privateKey] = [text(`${name}.crt`), text(`${name}.key`)];
    return certificate === '' || privateKey === '' ? undefined : { certificate, privateKey };
  };
  const { nextSinceMs = 0, former } = readWritten(text('state.json'));
  const [active, next] = [identity('tls'), identity('next')];
  return {
    ...(active === undefined ? {} : { active }),
    ...(next === undefined ? {} : { next: { ...next, sinceMs: nextSinceMs } }),
    former,
  };
}

function readWritten(json: string): Written {
  try {
    const { nextSinceMs, former } = JSON.parse(json) as Partial<Written>;
    const list = Array.isArray(former) ? former : [];
    return { ...(typeof nextSinceMs === 'number' ? { nextSinceMs } : {}), former: list };
  } catch {
    return { former: [] };
  }
}
