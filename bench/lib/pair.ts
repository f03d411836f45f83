import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.ts';
import { freeTcpPort, freeUdpPort } from './free-port.ts';
import { patientFlags } from './gateways.ts';
import { repositoryFolder } from './toolchain.ts';

/** The program that all of this runs. */
export const commandLine = join(repositoryFolder, 'gateway', 'cli', 'gatesvr.ts');
const deadlineMs = 30_000;
const pollMs = 20;
const lookTimeoutMs = 500;

export type MemberName = 'a' | 'b';

export const memberNames: readonly MemberName[] = ['a', 'b'];

export function otherMember(name: MemberName): MemberName {
  return name === 'a' ? 'b' : 'a';
}

/** Where one member of a pair listens; the same after each restart. */
export interface MemberAddresses {
  readonly quic: string;
  readonly http: string;
  readonly grpc: string;
  readonly metrics: string;
  readonly heartbeat: string;
  readonly sync: string;
}

/** What a member says of its shard. */
export interface MemberView {
  readonly role: string;
  readonly epoch: number;
  readonly inSync: readonly string[];
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface PairProcessesOptions {
  readonly flags?: readonly string[];
  readonly heartbeatIntervalMs?: number;
  readonly heartbeatTimeoutMs?: number;
  /** The way from one member to an address of the other, when it is not the direct one. */
  readonly via?: (from: MemberName, address: string) => Promise<string>;
}

/** Waits for a condition. @throws Error that says what did not come, with `detail`. */
export async function until(
  what: string,
  isDone: () => Promise<boolean> | boolean,
  detail: () => string = () => '',
  withinMs = deadlineMs,
): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (!(await isDone())) {
    if (performance.now() > untilMs) throw new Error(`not within ${withinMs} ms: ${what}\n${detail()}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

export interface MemberSettings {
  readonly name: string;
  readonly mode: 'primary' | 'backup';
  readonly own: MemberAddresses;
  readonly peer: Pick<MemberAddresses, 'heartbeat' | 'sync'>;
  readonly secretFile: string;
  readonly heartbeatIntervalMs: number;
  readonly heartbeatTimeoutMs: number;
}

/** The command line of one member of a pair, without the name of the program. */
export function memberFlags(settings: MemberSettings): string[] {
  const { own, peer } = settings;
  return [
    '--dev',
    `--quic-addr=${own.quic}`,
    `--http-addr=${own.http}`,
    `--grpc-addr=${own.grpc}`,
    `--metrics-addr=${own.metrics}`,
    '--backup-enabled',
    `--backup-secret-file=${settings.secretFile}`,
    `--backup-server-id=${settings.name}`,
    `--backup-mode=${settings.mode}`,
    `--backup-heartbeat-interval=${settings.heartbeatIntervalMs}ms`,
    `--backup-heartbeat-timeout=${settings.heartbeatTimeoutMs}ms`,
    `--backup-heartbeat-listen-addr=${own.heartbeat}`,
    `--backup-heartbeat-peer-addr=${peer.heartbeat}`,
    `--backup-sync-listen-addr=${own.sync}`,
    `--backup-sync-peer-addr=${peer.sync}`,
  ];
}

export async function memberAddresses(): Promise<MemberAddresses> {
  const tcp = async () => `127.0.0.1:${await freeTcpPort()}`;
  const [http, grpc, metrics, heartbeat, sync] = await Promise.all([tcp(), tcp(), tcp(), tcp(), tcp()]);
  return { quic: `127.0.0.1:${await freeUdpPort()}`, http, grpc, metrics, heartbeat, sync };
}

/** Asks a gateway over HTTP; undefined when it does not answer. */
export async function lookAt(httpAddress: string): Promise<MemberView | undefined> {
  const signal = AbortSignal.timeout(lookTimeoutMs);
  try {
    const [stats, ready] = await Promise.all([
      fetch(`http://${httpAddress}/stats`, { signal }).then((answer) => answer.json()),
      fetch(`http://${httpAddress}/ready`, { signal }),
    ]);
    const [shard] = (stats as { shards: { role: string; epoch: number; in_sync: string[] }[] }).shards;
    const said = (await ready.json()) as { reasons?: string[] };
    if (shard === undefined) return undefined;
    const { role, epoch, in_sync: inSync } = shard;
    return { role, epoch, inSync, ready: ready.ok, reasons: said.reasons ?? [] };
  } catch {
    return undefined;
  }
}

/** Two gateways of this repository that back each other, each a process that can be killed, paused and started again. */
export class PairProcesses {
  readonly addresses: Readonly<Record<MemberName, MemberAddresses>>;
  #options: PairProcessesOptions;
  #folder: string;
  #peers = new Map<string, string>();
  #processes = new Map<MemberName, Child>();
  #outputs = new Map<MemberName, string>();

  private constructor(addresses: Record<MemberName, MemberAddresses>, options: PairProcessesOptions) {
    this.addresses = addresses;
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), 'gatesvr-pair-'));
    writeFileSync(join(this.#folder, 'secret'), 'the secret that both gateways of this pair share\n', { mode: 0o600 });
  }

  /** Starts both, `a` as the first primary, and waits until the backup is in sync. */
  static async start(options: PairProcessesOptions = {}): Promise<PairProcesses> {
    const pair = new PairProcesses({ a: await memberAddresses(), b: await memberAddresses() }, options);
    for (const name of memberNames) {
      const { heartbeat, sync } = pair.addresses[otherMember(name)];
      for (const address of [heartbeat, sync]) {
        pair.#peers.set(`${name} ${address}`, (await options.via?.(name, address)) ?? address);
      }
    }
    try {
      for (const name of memberNames) await pair.startMember(name);
      await pair.untilInSync();
    } catch (error) {
      await pair.stop();
      throw error;
    }
    return pair;
  }

  get clientEndpoints(): string[] {
    return memberNames.map((name) => this.addresses[name].quic);
  }

  get zoneEndpoints(): string[] {
    return memberNames.map((name) => this.addresses[name].grpc);
  }

  process(name: MemberName): Child {
    const child = this.#processes.get(name);
    if (child === undefined) throw new Error(`member ${name} was not started`);
    return child;
  }

  async startMember(name: MemberName): Promise<void> {
    const before = this.#processes.get(name);
    if (before !== undefined) {
      await before.ended;
      this.#outputs.set(name, (this.#outputs.get(name) ?? '') + before.output);
    }
    this.#processes.set(name, await Child.start(process.execPath, [commandLine, 'gateway', ...this.#flags(name)]));
  }

  /** Sends a signal; SIGKILL and SIGTERM are waited for. @returns the exit code of a process that ended by itself. */
  async signal(name: MemberName, signal: NodeJS.Signals): Promise<number | undefined> {
    const child = this.process(name);
    if (!child.exited) process.kill(child.pid, signal);
    return signal === 'SIGKILL' || signal === 'SIGTERM' ? child.ended : undefined;
  }

  look(name: MemberName): Promise<MemberView | undefined> {
    return lookAt(this.addresses[name].http);
  }

  /** The member that serves, of the highest epoch when there are two; undefined when none does. */
  async primary(): Promise<MemberName | undefined> {
    const [a, b] = await Promise.all(memberNames.map((name) => this.look(name)));
    const epochOf = (view: MemberView | undefined) => (view?.role === 'primary' && view.ready ? view.epoch : 0);
    if (epochOf(a) === 0 && epochOf(b) === 0) return undefined;
    return epochOf(a) > epochOf(b) ? 'a' : 'b';
  }

  /** Waits until this member serves. */
  async untilPrimary(name: MemberName): Promise<void> {
    await until(`${name} is primary`, async () => (await this.primary()) === name, this.report);
  }

  /** Waits until one member serves with the other in sync. @returns the primary. */
  async untilInSync(): Promise<MemberName> {
    let primary: MemberName | undefined;
    const inSync = async () => {
      const ended = memberNames.find((name) => this.process(name).exited);
      if (ended !== undefined) throw new Error(`${ended} has ended\n${this.report()}`);
      const [a, b] = await Promise.all(memberNames.map((name) => this.look(name)));
      primary = a?.role === 'primary' ? 'a' : 'b';
      const [first, second] = primary === 'a' ? [a, b] : [b, a];
      const roles = first?.role === 'primary' && second?.role === 'backup';
      return roles && first.ready && second.ready && first.inSync.length === 2 && first.epoch === second.epoch;
    };
    await until('one serves and the other is in sync', inSync, this.report);
    if (primary === undefined) throw new Error('no primary');
    return primary;
  }

  /** The last of what both processes said, for a failure's message. */
  readonly report = (): string =>
    memberNames.map((name) => `── ${name}\n${this.output(name).slice(-3_000)}`).join('\n');

  /** What this member's processes said, those before a restart too. */
  output(name: MemberName): string {
    return (this.#outputs.get(name) ?? '') + (this.#processes.get(name)?.output ?? '');
  }

  async stop(): Promise<void> {
    const stopping = [...this.#processes.values()].map(async (child) => {
      if (!child.exited) process.kill(child.pid, 'SIGCONT');
      await child.stop();
    });
    await Promise.all(stopping);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #flags(name: MemberName): string[] {
    const peer = this.addresses[otherMember(name)];
    const way = (address: string) => this.#peers.get(`${name} ${address}`) ?? address;
    const { heartbeatIntervalMs = 200, heartbeatTimeoutMs = 1_000, flags = [] } = this.#options;
    return [
      ...memberFlags({
        name,
        mode: name === 'a' ? 'primary' : 'backup',
        own: this.addresses[name],
        peer: { heartbeat: way(peer.heartbeat), sync: way(peer.sync) },
        secretFile: join(this.#folder, 'secret'),
        heartbeatIntervalMs,
        heartbeatTimeoutMs,
      }),
      ...patientFlags,
      ...flags,
    ];
  }
}
