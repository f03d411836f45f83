import { poll } from '../cluster.ts';
import type { Namespace } from './kubectl.ts';

export const fleetName = 'shop';
const loginSecret = 'login';
const zones = 6;
export const firstZonePort = 9001;
const readyMs = 120_000;
const clientsMax = 5_000;

interface GateSvrView {
  readonly status?: {
    readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[];
    readonly pairs?: readonly { currentPrimary?: string; epoch?: number }[];
  };
}

interface Member {
  readonly metadata: { readonly name: string; readonly uid: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: { readonly nodeName: string };
  readonly status: { readonly containerStatuses?: readonly { containerID: string; ready: boolean }[] };
}

/** One pair, with the heartbeats that are recommended. */
function gateSvr(): object {
  return {
    apiVersion: 'gatesvr.io/v1alpha1',
    kind: 'GateSvr',
    metadata: { name: fleetName },
    spec: {
      pairs: 1,
      zoneCount: zones,
      image: 'gatesvr/gateway:e2e',
      imagePullPolicy: 'IfNotPresent',
      auth: { mode: 'hmac', hmac: { secret: { name: loginSecret, key: 'key' } } },
      failover: { heartbeatInterval: '200ms', heartbeatTimeout: '1s' },
      overload: { maxConnections: clientsMax, maxQps: clientsMax, maxUpstreamConcurrent: clientsMax },
    },
  };
}

/** Each zone is a port of the load's pod. */
function zone(number: number): object {
  const zoneId = String(number).padStart(3, '0');
  const addresses = [{ address: `load:${firstZonePort + number - 1}` }];
  const spec = { gateSvrRef: { name: fleetName }, zoneId, endpoints: { addresses } };
  return { apiVersion: 'gatesvr.io/v1alpha1', kind: 'Zone', metadata: { name: `zone-${zoneId}` }, spec };
}

/** A GateSvr in a namespace, its zones, and what the tests do to it. */
export class Fleet {
  readonly #namespace: Namespace;

  private constructor(namespace: Namespace) {
    this.#namespace = namespace;
  }

  /** Applies everything and waits until it is ready. @throws Error with its conditions */
  static async start(namespace: Namespace): Promise<Fleet> {
    const fleet = new Fleet(namespace);
    const login = { key: 'the secret that signs the tokens of this test\n' };
    const load = { clusterIP: 'None', publishNotReadyAddresses: true, selector: { app: 'load' } };
    await namespace.apply(
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: loginSecret }, stringData: login },
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'load' }, spec: load },
      gateSvr(),
      ...Array.from({ length: zones }, (_, index) => zone(index + 1)),
    );
    await fleet.untilWhole();
    return fleet;
  }

  /** The files of the load: what clients trust, how zones and users prove who they are. */
  static loadFiles(): object {
    const items = (entries: Readonly<Record<string, string>>) =>
      Object.entries(entries).map(([key, path]) => ({ key, path }));
    const zoneTls = { 'tls.crt': 'zone.crt', 'tls.key': 'zone.key', 'ca.crt': 'ca.crt' };
    const sources = [
      { secret: { name: `${fleetName}-zone-tls`, items: items(zoneTls) } },
      { secret: { name: loginSecret, items: items({ key: 'login.key' }) } },
    ];
    return { projected: { sources } };
  }

  /** Both members in sync and the GateSvr ready. */
  async untilWhole(): Promise<void> {
    let last = '';
    await poll('the GateSvr is ready and not degraded', readyMs, async () => {
      const { status } = await this.#namespace.get<GateSvrView>('gatesvr', fleetName);
      const conditions = status?.conditions ?? [];
      last = JSON.stringify(conditions);
      const is = (type: string, wanted: string) =>
        conditions.some((each) => each.type === type && each.status === wanted);
      return is('Ready', 'True') && !is('Degraded', 'True') && !is('Progressing', 'True') && (await this.#bothReady());
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${last}`);
    });
  }

  async primary(): Promise<Member> {
    const selector = `--selector=gatesvr.io/name=${fleetName},gatesvr.io/role=primary`;
    const { items } = await this.#namespace.get<{ items: readonly Member[] }>('pods', selector);
    const [member] = items;
    if (member === undefined || items.length > 1) throw new Error(`${items.length} pods are labelled primary`);
    return member;
  }

  /** Counts promotions, by the Lease: pods of a pair may have changed places twice. */
  async epoch(): Promise<number> {
    const lease = await this.#namespace.get<{ metadata: { annotations: Record<string, string> } }>(
      'lease',
      `${fleetName}-p0`,
    );
    return Number(lease.metadata.annotations['gatesvr.io/epoch']);
  }

  async #bothReady(): Promise<boolean> {
    const { items } = await this.#namespace.get<{ items: readonly Member[] }>(
      'pods',
      `--selector=gatesvr.io/name=${fleetName}`,
    );
    const ready = items.filter(({ status }) => status.containerStatuses?.every((each) => each.ready) === true);
    return ready.length === 2 && items.length === 2;
  }
}

/** As the container runtime knows it. */
export function containerOf({ status }: Member): string {
  return status.containerStatuses?.[0]?.containerID.replace('containerd://', '') ?? '';
}
