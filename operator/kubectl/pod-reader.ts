import { text } from 'node:stream/consumers';
import type { ClusterAccess } from '../kube-client/cluster-access.ts';
import { Requester } from '../kube-client/requester.ts';

const callTimeoutMs = 10_000;
const httpPort = 8080;
const logLines = 500;

/** What the API server passes on from pods: their logs, and what they answer over HTTP. */
export interface PodReader {
  /** The last lines of the gateway's log, of the run before the last restart if so asked. */
  log(namespace: string, pod: string, previous: boolean): Promise<string>;
  /** The body of a path on the gateway's HTTP port. */
  http(namespace: string, pod: string, path: string): Promise<string>;
  close(): void;
}

export class HttpPodReader implements PodReader {
  #requester: Requester;

  constructor(access: ClusterAccess, userAgent: string) {
    this.#requester = new Requester(access, userAgent);
  }

  log(namespace: string, pod: string, previous: boolean): Promise<string> {
    return this.#read(`${podPath(namespace, pod)}/log?tailLines=${logLines}&previous=${previous}`);
  }

  http(namespace: string, pod: string, path: string): Promise<string> {
    return this.#read(`${podPath(namespace, `${pod}:${httpPort}`)}/proxy${path}`);
  }

  close(): void {
    this.#requester.close();
  }

  /** @throws Error with the status when it is not 200, and when no answer comes in time */
  async #read(path: string): Promise<string> {
    const answer = await this.#requester.send({ method: 'GET', path }, AbortSignal.timeout(callTimeoutMs));
    const body = await text(answer);
    if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${body.slice(0, 200)}`);
    return body;
  }
}

function podPath(namespace: string, pod: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}`;
}
