import { describe, expect, it } from 'vitest';
import { LeaseContentError, type LeaseObject, leaseObjectFor, leaseObjectOf, leaseOf } from './lease-object.ts';

const place = { namespace: 'ns', name: 'shop-p0' };
const content = { epoch: 7_000_000_000, history: 'h1', holder: 'shop-p0-a-0/i1', inSync: ['shop-p0-a-0/i1', 'b/i2'] };

/** As the API server would give it back. */
function stored(object: LeaseObject, resourceVersion = '41'): LeaseObject {
  return { ...object, metadata: { ...object.metadata, uid: 'u1', resourceVersion } };
}

const held = stored(leaseObjectFor(place, undefined, content));

describe('a Lease object', () => {
  it('keeps what was written into it, beyond 32 bits', () => {
    expect(leaseOf(leaseObjectOf(held))).toEqual({ ...content, revision: 41, token: 'u1/41' });
    expect(held.spec).toEqual({ holderIdentity: content.holder, leaseTransitions: 1 });
  });

  it('counts promotions, and keeps what others put there', () => {
    const theirs = { ...held, metadata: { ...held.metadata, labels: { mine: 'no' }, annotations: { a: 'b' } } };
    const again = leaseObjectFor(place, { ...theirs, metadata: { ...theirs.metadata, ...held.metadata } }, content);
    expect(again.spec?.leaseTransitions).toBe(1);
    expect(again.metadata).toMatchObject({ labels: { mine: 'no' }, uid: 'u1', resourceVersion: '41' });
    const promoted = leaseObjectFor(place, held, { ...content, epoch: content.epoch + 1 });
    expect(promoted.spec?.leaseTransitions).toBe(2);
    expect(leaseObjectFor(place, theirs, content).metadata.annotations).toMatchObject({ a: 'b' });
  });

  it('is nobody’s when it was only prepared', () => {
    const prepared = stored({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: place });
    expect(leaseOf(leaseObjectOf(prepared))).toBeUndefined();
    const first = leaseObjectFor(place, prepared, content);
    expect(first.metadata).toMatchObject({ uid: 'u1', resourceVersion: '41' });
  });

  const change = (annotations: Record<string, string | undefined>, spec: object = {}) => {
    const merged = { ...held.metadata.annotations, ...annotations };
    return { ...held, metadata: { ...held.metadata, annotations: merged }, spec: { ...held.spec, ...spec } };
  };

  it.each([
    ['no Lease', { kind: 'Pod' }, 'kind: "Pod": expected "Lease"'],
    ['nothing', undefined, 'kind: not set: expected "Lease"'],
    ['no metadata', { kind: 'Lease' }, 'metadata: not set: expected an object'],
    ['no version', { kind: 'Lease', metadata: { uid: 'u' } }, 'metadata.resourceVersion: not set: expected digits'],
    ['no holder', change({}, { holderIdentity: '' }), 'spec.holderIdentity: "": expected POD/ID'],
    ['a holder of somebody else', change({}, { holderIdentity: 'me' }), 'spec.holderIdentity: "me": expected POD/ID'],
    ['no epoch', change({ 'gatesvr.io/epoch': undefined }), '[gatesvr.io/epoch]: not set: expected a whole number'],
    ['an epoch in words', change({ 'gatesvr.io/epoch': 'two' }), '[gatesvr.io/epoch]: "two": expected a whole number'],
    ['epoch 0', change({ 'gatesvr.io/epoch': '0' }), '[gatesvr.io/epoch]: "0": expected'],
    ['a huge epoch', change({ 'gatesvr.io/epoch': '9007199254740993' }), '"9007199254740993": expected'],
    ['no history', change({ 'gatesvr.io/history': '' }), '[gatesvr.io/history]: "": expected an id'],
    ['nobody in sync', change({ 'gatesvr.io/in-sync': '' }), '[gatesvr.io/in-sync]: "": expected 1 to 16'],
    ['a set without its holder', change({ 'gatesvr.io/in-sync': 'b/i2' }), 'expected a set with the holder'],
    ['one twice', change({ 'gatesvr.io/in-sync': 'b/i2,b/i2' }), 'expected 1 to 16 different incarnations'],
    ['a long story', change({ 'gatesvr.io/in-sync': 'x'.repeat(9_999) }), 'xxx: expected 1 to 16'],
  ])('that is wrong says where and what: %s', (_name, object, message) => {
    const read = () => leaseOf(leaseObjectOf(object));
    expect(read).toThrow(LeaseContentError);
    expect(read).toThrow(message);
  });
});
