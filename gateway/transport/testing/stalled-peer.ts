import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { CloseCause } from '../transport.ts';
import { testAuthority, testIdentity } from './rig.ts';

export interface StalledPeerData {
  readonly adapterModule: string;
  readonly role: 'server' | 'client';
  readonly port: number;
  readonly receiveBufferBytesMax: number;
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
  /** While it holds 1, the worker's event loop stands still. */
  readonly gate: Int32Array;
}

export interface ReceivedReport {
  readonly frames: number;
  readonly bytes: number;
}

/** The other end of a connection in a thread of its own, whose event loop can be stopped. */
export class StalledPeer {
  readonly receiveBufferBytesMax = 500_000;
  port = 0;
  readonly #worker: Worker;
  readonly #gate: Int32Array;

  private constructor(worker: Worker, gate: Int32Array) {
    this.#worker = worker;
    this.#gate = gate;
  }

  /** @param port of the server, for a client. */
  static async start(adapterModule: string, role: 'server' | 'client', port: number): Promise<StalledPeer> {
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const ca = (await testAuthority()).certificate;
    const receiveBufferBytesMax = 500_000;
    const workerData = { adapterModule, role, port, receiveBufferBytesMax, ...(await testIdentity()), ca, gate };
    const worker = new Worker(new URL('./stalled-peer-worker.ts', import.meta.url), { workerData });
    const peer = new StalledPeer(worker, gate);
    peer.port = await peer.#ask<number>('port');
    return peer;
  }

  /** Its event loop stands still when this resolves. */
  async stall(): Promise<void> {
    Atomics.store(this.#gate, 0, 1);
    this.#worker.postMessage('stall');
    await once(this.#worker, 'message');
  }

  resume(): void {
    Atomics.store(this.#gate, 0, 0);
    Atomics.notify(this.#gate, 0);
  }

  /** What it has received once these are as many frames. */
  received(frames: number): Promise<ReceivedReport> {
    return this.#ask(frames);
  }

  closed(): Promise<CloseCause> {
    return this.#ask('closed');
  }

  async stop(): Promise<void> {
    this.resume();
    await this.#worker.terminate();
  }

  async #ask<T>(question: string | number): Promise<T> {
    this.#worker.postMessage(question);
    const [answer] = await once(this.#worker, 'message');
    return answer as T;
  }
}
