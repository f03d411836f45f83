import { describe, expect, it } from 'vitest';
import { checkBearer } from './bearer.ts';
import { mayCall, rolesOf } from './roles.ts';

describe('roles of a certificate', () => {
  it.each([
    ['zone', '', ['zone']],
    ['zone.shop.svc.cluster.local', '', ['zone']],
    ['gatesvr-operator', 'DNS:gatesvr-operator.system.svc', ['operator']],
    ['', 'DNS:localhost, DNS:admin.example, IP Address:127.0.0.1', ['admin']],
    ['', 'URI:spiffe://cluster.local/gatesvr/peer', ['peer']],
    ['zone', 'DNS:peer.a', ['zone', 'peer']],
    ['ADMIN', '', ['admin']],
    ['not-admin', 'DNS:xadmin.example, DNS:example.admin', []],
    ['administrator', 'URI:spiffe://x/gatesvr/peer/extra, URI:https://x/admin', []],
    ['alice', 'email:admin', []],
    ['', '', []],
  ])('CN %j with %j is %j', (commonName, subjectAltName, roles) => {
    expect([...rolesOf({ commonName, subjectAltName })].sort()).toEqual(roles.toSorted());
  });

  it.each([
    ['zone', 'gatesvr.v1.GatewayService', true],
    ['zone', 'gatesvr.v1.AdminService', false],
    ['zone', 'gatesvr.v1.ReplicationService', false],
    ['operator', 'gatesvr.v1.AdminService', true],
    ['operator', 'gatesvr.v1.GatewayService', false],
    ['admin', 'gatesvr.v1.AdminService', true],
    ['peer', 'gatesvr.v1.ReplicationService', true],
    ['admin', 'gatesvr.v1.ReplicationService', false],
    ['admin', 'gatesvr.v1.constructor', false],
    ['gateway', 'gatesvr.v1.FleetService', true],
    ['peer', 'gatesvr.v1.FleetService', true],
    ['zone', 'gatesvr.v1.FleetService', false],
    ['gateway', 'gatesvr.v1.GatewayService', false],
    ['zone', 'grpc.health.v1.Health', true],
  ] as const)('%s on %s: %s', (role, service, allowed) => {
    expect(mayCall(new Set([role]), service)).toBe(allowed);
    expect(mayCall(new Set(), service)).toBe(!service.startsWith('gatesvr.'));
  });
});

describe('bearer tokens', () => {
  const tokens = [Buffer.from('old-token'), Buffer.from('new-token')];

  it.each([
    ['Bearer new-token', 'ok'],
    ['bearer   old-token ', 'ok'],
    ['Bearer new-toke', 'wrong'],
    ['Bearer new-token2', 'wrong'],
    ['Basic new-token', 'missing'],
    ['Bearer ', 'missing'],
    ['Bearer a b', 'missing'],
    ['', 'missing'],
    [undefined, 'missing'],
  ] as const)('%j is %s', (header, verdict) => {
    expect(checkBearer(header, tokens)).toBe(verdict);
  });

  it('are all wrong when none is configured', () => {
    expect(checkBearer('Bearer x', [])).toBe('wrong');
  });
});
