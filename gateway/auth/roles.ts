/** What somebody who calls a gRPC service of the gateway may be. */
export type Role = 'zone' | 'operator' | 'peer' | 'admin' | 'gateway';

const allRoles: readonly Role[] = ['zone', 'operator', 'peer', 'admin', 'gateway'];

/** The names in a certificate that was already verified against the gateway's authority. */
export interface CertificateNames {
  readonly commonName: string;
  /** As Node prints it: `DNS:zone.shop, URI:spiffe://cluster/gatesvr/zone`. */
  readonly subjectAltName: string;
}

/**
 * The roles that a certificate gives. A common name or DNS name gives the role that its first label names, alone or after
 * `gatesvr-`: `zone`, `zone.shop.svc`, `gatesvr-operator.system`. A URI gives the last role in its path after `/gatesvr/`:
 * `spiffe://cluster.local/gatesvr/peer`. Other names give nothing.
 */
export function rolesOf(names: CertificateNames): ReadonlySet<Role> {
  const roles = new Set<Role>();
  addNameRole(roles, names.commonName);
  for (const entry of names.subjectAltName.split(', ')) {
    if (entry.startsWith('DNS:')) {
      addNameRole(roles, entry.slice('DNS:'.length));
    } else if (entry.startsWith('URI:')) {
      addUriRole(roles, entry.slice('URI:'.length));
    }
  }
  return roles;
}

/** Which roles each service is open to. */
const openTo = {
  'gatesvr.v1.GatewayService': ['zone', 'admin'],
  'gatesvr.v1.AdminService': ['operator', 'admin'],
  'gatesvr.v1.ReplicationService': ['peer'],
  'gatesvr.v1.HeartbeatService': ['peer'],
  'gatesvr.v1.FleetService': ['gateway', 'peer'],
} as const satisfies Record<string, readonly Role[]>;

/**
 * Whether somebody with these roles may call a service. Reflection and health are open to every certificate.
 * @param service full name, as in `gatesvr.v1.AdminService`; one of this package that is not known is open to nobody.
 */
export function mayCall(roles: ReadonlySet<Role>, service: string): boolean {
  if (!service.startsWith('gatesvr.')) {
    return true;
  }
  const open: readonly Role[] = Object.hasOwn(openTo, service) ? openTo[service as keyof typeof openTo] : [];
  return open.some((role) => roles.has(role));
}

function addNameRole(roles: Set<Role>, name: string): void {
  const label = (name.split('.', 1)[0] ?? '').toLowerCase().replace(/^gatesvr-/, '');
  addRole(roles, label);
}

function addUriRole(roles: Set<Role>, uri: string): void {
  const [, path] = /^[a-z]+:\/\/[^/]+\/gatesvr\/([a-z]+)$/.exec(uri) ?? [];
  addRole(roles, path ?? '');
}

function addRole(roles: Set<Role>, text: string): void {
  const role = allRoles.find((known) => known === text);
  if (role !== undefined) {
    roles.add(role);
  }
}
