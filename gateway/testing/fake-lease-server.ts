import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { LeaseObject } from '../replication/lease-object.ts';
import { type Authority, makeAuthority } from '../transport/testing/certificates.ts';

/** What becomes of one request; `lost`: it is carried out and its connection closed without an answer. */
export type LeaseFault = 'hang' | 'lost' | number;

const folder = '/apis/coordination.k8s.io/v1/namespaces/ns/leases';

/** The part of a Kubernetes API server that keeps one Lease, `ns/shop-p0`, over HTTPS, with faults on demand. */
export class FakeLeaseServer {
  readonly authority: Authority;
  readonly token = randomUUID();
  /** Taken by the next requests, one each; `watch` by watches only. */
  readonly faults: LeaseFault[] = [];
  readonly watchFaults: LeaseFault[] = [];
  /** "GET", "PUT" and "WATCH <version>", in order. */
  readonly requests: string[] = [];
  object: LeaseObject | undefined;
  #server: Server;
  #version = 100;
  #watchers = new Set<ServerResponse>();

  private constructor(authority: Authority, server: Server) {
    this.authority = authority;
    this.#server = server;
    server.on('request', (asked, answer) => void this.#serve(asked, answer));
  }

  static async start(): Promise<FakeLeaseServer> {
    const authority = await makeAuthority();
    const { certificate, privateKey } = await authority.issue();
    const server = createServer({ cert: certificate, key: privateKey, keepAliveTimeout: 60_000 });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FakeLeaseServer(authority, server);
  }

  get url(): URL {
    return new URL(`https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`);
  }

  get watching(): number {
    return this.#watchers.size;
  }

  /** As the end-to-end tests use it. */
  asStore() {
    const done = (act: () => void) => Promise.resolve(act());
    return {
      ...{ server: this.url, authority: this.authority.certificate, token: this.token },
      ...{ namespace: 'ns', name: 'shop-p0' },
      read: () => Promise.resolve(this.object),
      write: (object: LeaseObject) => done(() => this.set(object)),
      remove: () => done(() => this.set(undefined)),
    };
  }

  /** Somebody else writes the Lease, or deletes it. */
  set(object: Partial<LeaseObject> | undefined): void {
    const before = this.object;
    this.#version += 1;
    if (object === undefined) {
      this.object = undefined;
      const metadata = { ...before?.metadata, resourceVersion: String(this.#version) };
      return this.#tell('DELETED', { ...before, metadata });
    }
    const metadata = {
      name: 'shop-p0',
      namespace: 'ns',
      uid: before?.metadata.uid ?? randomUUID(),
      ...object.metadata,
    };
    this.object = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      ...object,
      metadata: { ...metadata, resourceVersion: String(this.#version) },
    };
    this.#tell(before === undefined ? 'ADDED' : 'MODIFIED', this.object);
  }

  /** Says something to every watcher, well-formed or not. */
  say(text: string): void {
    for (const watcher of this.#watchers) watcher.write(text);
  }

  /** Breaks all connections. */
  cut(): void {
    this.#watchers.clear();
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const url = new URL(asked.url ?? '', this.url);
    const watches = url.searchParams.get('watch') === '1';
    const version = url.searchParams.get('resourceVersion') ?? '';
    this.requests.push(watches ? `WATCH ${version}`.trim() : (asked.method ?? ''));
    const fault = (watches ? this.watchFaults : this.faults).shift();
    const chunks: Buffer[] = [];
    for await (const chunk of asked) chunks.push(chunk as Buffer);
    if (fault === 'hang') return;
    if (asked.headers.authorization !== `Bearer ${this.token}`) return refuse(answer, 401, 'Unauthorized');
    if (typeof fault === 'number') return refuse(answer, fault, 'as the test asked');
    if (watches) return this.#accept(answer, version);
    if (url.pathname !== `${folder}/shop-p0`) return refuse(answer, 404, `no ${url.pathname}`);
    const done = asked.method === 'PUT' ? this.#put(Buffer.concat(chunks).toString()) : this.#get();
    if (fault === 'lost') answer.destroy();
    else answer.writeHead(done.status, { 'content-type': 'application/json' }).end(JSON.stringify(done.body));
  }

  #get(): { status: number; body: object } {
    return this.object === undefined ? refusal(404, 'leases "shop-p0" not found') : { status: 200, body: this.object };
  }

  /** As the real one: without a version it creates, and a uid that differs is a conflict. */
  #put(text: string): { status: number; body: object } {
    const given = JSON.parse(text) as LeaseObject;
    const { uid, resourceVersion } = given.metadata;
    const held = this.object?.metadata;
    if (held === undefined && uid !== undefined) return refusal(409, 'Precondition failed: UID in precondition');
    if (held !== undefined && resourceVersion === undefined) return refusal(422, 'must be specified for an update');
    if (held !== undefined && resourceVersion !== held.resourceVersion) return refusal(409, 'object was modified');
    this.set(given);
    return { status: held === undefined ? 201 : 200, body: this.object ?? {} };
  }

  #accept(answer: ServerResponse, version: string): void {
    answer.writeHead(200, { 'content-type': 'application/json' });
    answer.flushHeaders();
    this.#watchers.add(answer);
    answer.on('close', () => this.#watchers.delete(answer));
    const news = version === '' || Number(version) < this.#version;
    if (news && this.object !== undefined) answer.write(eventLine('ADDED', this.object));
  }

  #tell(type: string, object: object): void {
    this.say(eventLine(type, object));
  }
}

export function eventLine(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function refusal(code: number, message: string): { status: number; body: object } {
  return { status: code, body: { kind: 'Status', status: 'Failure', message, code } };
}

function refuse(answer: ServerResponse, code: number, message: string): void {
  const { status, body } = refusal(code, message);
  answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
