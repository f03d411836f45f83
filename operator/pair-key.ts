import { labelKeys } from './desired/names.ts';
import type { KubeObject } from './kube-api.ts';

/** One pair of one GateSvr: what is reconciled by itself. */
export interface PairKey {
  readonly namespace: string;
  readonly name: string;
  readonly index: number;
}

/** "NAMESPACE/NAME/pN", the key of the pair's work. */
export function pairKeyText({ namespace, name, index }: PairKey): string {
  return `${namespace}/${name}/p${index}`;
}

/** @throws RangeError when it is none */
export function parsePairKey(text: string): PairKey {
  const [, namespace = '', name = '', index = ''] = /^([^/]+)\/([^/]+)\/p(\d{1,6})$/.exec(text) ?? [];
  if (index === '') throw new RangeError(`${text}: expected NAMESPACE/NAME/pN`);
  return { namespace, name, index: Number(index) };
}

/** The key of the pair whose Lease has this name; one that a gateway has made carries no labels. */
export function pairKeyOfLease({ metadata }: KubeObject): string | undefined {
  const [, name, index] = /^(.+)-p(\d{1,6})$/.exec(metadata.name) ?? [];
  return name === undefined ? undefined : `${metadata.namespace}/${name}/p${index}`;
}

/** The key of the pair that an object belongs to by its labels; undefined when it is of none. */
export function pairKeyOf({ metadata }: KubeObject): string | undefined {
  const { [labelKeys.name]: name, [labelKeys.pair]: pair = '' } = metadata.labels ?? {};
  if (name === undefined || metadata.namespace === undefined || !/^p\d{1,6}$/.test(pair)) return undefined;
  return `${metadata.namespace}/${name}/${pair}`;
}
