import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MemberName, PairProcesses, until } from '../../bench/lib/pair.ts';
import { type LeaseObject, leaseOf } from '../../gateway/replication/lease-object.ts';
import { LinkProxy } from '../pair/link-proxy.ts';

/** Where the Lease of a pair is kept: a real API server, or the small one of the gateway's own tests. */
export interface LeaseStore {
  /** https://127.0.0.1:PORT */
  readonly server: URL;
  readonly authority: string;
  readonly token: string;
  readonly namespace: string;
  readonly name: string;
  read(): Promise<LeaseObject | undefined>;
  /** Replaces it, whatever its version. */
  write(object: LeaseObject): Promise<void>;
  remove(): Promise<void>;
}

type HeldLease = NonNullable<ReturnType<typeof leaseOf>>;

/** Two gateways of one machine whose arbiter is a Lease; the way to the API server can be cut. */
export class KubernetesPair {
  readonly store: LeaseStore;
  readonly processes: PairProcesses;
  #api: LinkProxy;
  #folder: string;

  private constructor(store: LeaseStore, processes: PairProcesses, api: LinkProxy, folder: string) {
    this.store = store;
    this.processes = processes;
    this.#api = api;
    this.#folder = folder;
  }

  /** Starts both and waits until one leads with the other in sync. */
  static async start(store: LeaseStore, heartbeatTimeoutMs = 1_000): Promise<KubernetesPair> {
    const folder = mkdtempSync(join(tmpdir(), 'gatesvr-kubernetes-'));
    writeFileSync(join(folder, 'token'), store.token, { mode: 0o600 });
    writeFileSync(join(folder, 'ca.crt'), store.authority);
    const api = await LinkProxy.start(store.server.host);
    const flags = [
      '--backup-arbiter=kubernetes',
      `--backup-kubernetes-lease-name=${store.name}`,
      `--backup-kubernetes-namespace=${store.namespace}`,
      `--backup-kubernetes-api-server=https://${api.address}`,
      `--backup-kubernetes-token-file=${join(folder, 'token')}`,
      `--backup-kubernetes-ca-file=${join(folder, 'ca.crt')}`,
    ];
    try {
      const processes = await PairProcesses.start({ flags, heartbeatTimeoutMs });
      return new KubernetesPair(store, processes, api, folder);
    } catch (error) {
      await api.close();
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#api.heal();
    await this.processes.stop();
    await this.#api.close();
    rmSync(this.#folder, { recursive: true });
  }

  cutApi(): void {
    this.#api.cut();
  }

  healApi(): void {
    this.#api.heal();
  }

  /** @throws Error when there is none. */
  async lease(): Promise<HeldLease> {
    const object = await this.store.read();
    const lease = object === undefined ? undefined : leaseOf(object);
    if (lease === undefined) throw new Error('no Lease');
    return lease;
  }

  /** The operator's swap: the next epoch belongs to another member of the set. */
  async promoteByHand(incarnation: string): Promise<void> {
    const object = await this.store.read();
    if (object === undefined) throw new Error('no Lease');
    const annotations = {
      ...object.metadata.annotations,
      'gatesvr.io/epoch': String((await this.lease()).epoch + 1),
      'gatesvr.io/in-sync': incarnation,
    };
    const metadata = { ...object.metadata, annotations };
    await this.store.write({ ...object, metadata, spec: { ...object.spec, holderIdentity: incarnation } });
  }

  /** Writes something into the Lease that is none of ours, or takes it out again. */
  async annotate(key: string, value: string): Promise<void> {
    const object = await this.store.read();
    if (object === undefined) throw new Error('no Lease');
    const annotations = { ...object.metadata.annotations, [key]: value };
    await this.store.write({ ...object, metadata: { ...object.metadata, annotations } });
  }

  /** Waits until the Lease names both, one leads, and the other is its backup. @returns the primary. */
  async untilWhole(): Promise<MemberName> {
    const primary = await this.processes.untilInSync();
    await this.untilLease('it names both', ({ inSync }) => inSync.length === 2);
    return primary;
  }

  async untilLease(what: string, isSo: (lease: HeldLease) => boolean): Promise<HeldLease> {
    let last: HeldLease | undefined;
    const seen = async () => {
      last = await this.lease().catch(() => undefined);
      return last !== undefined && isSo(last);
    };
    await until(`the Lease: ${what}`, seen, () => `${JSON.stringify(last)}\n${this.processes.report()}`);
    return last as HeldLease;
  }

  async untilPrimary(name: MemberName): Promise<void> {
    await this.processes.untilPrimary(name);
  }

  /** What its shard says of itself. */
  async shard(name: MemberName): Promise<{ commitIndex: number; epoch: number; id: string; incarnation: string }> {
    const answer = await fetch(`http://${this.processes.addresses[name].http}/stats`);
    const stats = (await answer.json()) as { shards: Record<string, string & number>[] };
    const [shard] = stats.shards;
    if (shard === undefined) throw new Error(`${name} has no shard`);
    const { commit_index: commitIndex = 0, epoch = 0, id = '', incarnation = '' } = shard;
    return { commitIndex, epoch, id, incarnation };
  }

  /** Waits until something more is committed: the shard's time alone is an entry every 100 ms. */
  async untilCommits(name: MemberName): Promise<void> {
    const { commitIndex } = await this.shard(name);
    const more = async () => (await this.shard(name)).commitIndex > commitIndex + 3;
    await until(`${name} commits`, more, this.processes.report);
  }
}
