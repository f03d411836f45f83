import { crc32 } from 'node:zlib';
import type { Arbiter } from '../../replication/arbiter.ts';
import type { PairOptions, RoleChange } from '../../replication/pair-options.ts';
import { PairShard } from '../../replication/pair-shard.ts';
import type { PeerMessage } from '../../replication/peer-messages.ts';
import type { ReplicatedMachine } from '../../replication/shard.ts';
import { StandaloneArbiter } from '../../replication/standalone-arbiter.ts';

/** The smallest state machine that shows everything: a list of words; one command is not the same everywhere. */
export class WordList implements ReplicatedMachine<string, number, string, string> {
  words: string[] = [];
  restoring = false;
  totalLimitHits = 0;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  apply(_index: number, command: string, effects: string[]): number {
    this.words.push(command === 'who am i' ? this.#name : command);
    effects.push(command);
    return this.words.length;
  }

  *snapshot(): Generator<string, void, void> {
    yield '(';
    for (let n = 0; n < this.words.length; n += 1) yield this.words[n] ?? '';
    yield ')';
  }

  restore(image: string): void {
    if (image === '(' || image === ')') this.restoring = image === '(';
    else this.words.push(image);
  }

  stateHash(): number {
    return crc32(this.words.join('\n'));
  }
}

const separator = '\n';

/** Two shards of word lists joined by a network that a test holds in its hands; time passes when it says so. */
export class ToyPair {
  readonly shards: Record<'A' | 'B', PairShard<string, number, string, string>>;
  readonly roles: Record<'A' | 'B', RoleChange[]> = { A: [], B: [] };
  readonly performed: string[] = [];
  nowMs = 0;
  /** Called with every message before it travels; undefined loses it. */
  passes: (message: PeerMessage, from: 'A' | 'B') => PeerMessage | undefined = (message) => message;
  #queue: (() => void)[] = [];
  #ids = 0;

  constructor(change: Partial<PairOptions<string, number, string, string>> = {}, sharedArbiter?: Arbiter) {
    this.shards = { A: this.#shard('A', change, sharedArbiter), B: this.#shard('B', change, sharedArbiter) };
  }

  machine(name: 'A' | 'B'): WordList {
    return this.shards[name].machine as WordList;
  }

  words(name: 'A' | 'B'): string {
    return this.machine(name).words.join(' ');
  }

  /** Everything under way arrives, and what follows from it. */
  settle(): void {
    for (let round = 0; this.#queue.length > 0 && round < 10_000; round += 1) this.#queue.shift()?.();
  }

  /** Lets `ms` pass in steps of 50 ms; shards named in `stopped` do not run. */
  pass(ms: number, stopped: readonly string[] = []): void {
    for (let step = 0; step < ms; step += 50) {
      this.nowMs += 50;
      for (const name of ['A', 'B'] as const) {
        if (!stopped.includes(name)) this.shards[name].tick(this.nowMs, 1_000_000_000 + this.nowMs);
      }
      this.settle();
    }
  }

  /** The process of `name` is replaced by a new one. */
  restart(name: 'A' | 'B', change: Partial<PairOptions<string, number, string, string>> = {}): void {
    this.shards[name] = this.#shard(name, change);
  }

  #shard(name: 'A' | 'B', change: Partial<PairOptions<string, number, string, string>>, shared?: Arbiter) {
    const arbiter = new StandaloneArbiter({ serverId: name, announce: () => shard.announce() });
    const shard: PairShard<string, number, string, string> = new PairShard({
      id: 's',
      role: {
        serverId: name,
        mode: name === 'A' ? 'primary' : 'backup',
        arbiter: shared === undefined ? 'own' : 'shared',
        promoteAfterMs: 2_000,
        resetAfterMs: 100_000,
        startAloneAfterMs: 1_000,
      },
      timing: {
        heartbeatIntervalMs: 200,
        heartbeatTimeoutMs: 1_000,
        stallTimeoutMs: 1_000,
        arbiterTimeoutMs: 500,
        leaseReadIntervalMs: 1_000,
        urgentReadIntervalMs: 500,
        rejoinAfterMs: 600,
      },
      limits: { batchEntriesMax: 10, batchWaitMs: 200, bufferEntriesMax: 20, bufferBytesMax: 100_000 },
      clientEndpoint: `${name}:8453`,
      zoneEndpoint: `${name}:8092`,
      createMachine: () => new WordList(name),
      codec: {
        encode: (words) => Buffer.from(words.join(separator)),
        decode: (bytes) => Buffer.from(bytes).toString().split(separator),
        encodeSlice: (images) => {
          const next = images.next();
          return { bytes: Buffer.from(next.done === true ? '' : next.value), done: next.done === true };
        },
        decodeSlice: (bytes) => (bytes.length === 0 ? [] : [Buffer.from(bytes).toString()]),
        format: 1,
      },
      promotion: (epoch) => `epoch-${epoch}`,
      perform: (effect) => this.performed.push(`${name} ${effect}`),
      newId: () => {
        this.#ids += 1;
        return String(this.#ids);
      },
      ...(shared === undefined ? { arbiter, gossip: arbiter } : { arbiter: shared }),
      send: (message) => this.#send(name, message),
      defer: (flush) => this.#queue.push(flush),
      onRole: (given) => this.roles[name].push(given),
      ...change,
    });
    return shard;
  }

  #send(from: 'A' | 'B', message: PeerMessage): void {
    const to = from === 'A' ? 'B' : 'A';
    const passed = this.passes(message, from);
    if (passed !== undefined) this.#queue.push(() => this.shards[to].received(this.nowMs, passed));
  }
}
