import type { ServerResponse } from 'node:http';
import type { KubeObject, WatchEvent } from '../kube-api.ts';
import { KubeApiError } from '../kube-api.ts';
import { apiVersionOf } from '../resources.ts';
import type { ApiRequest } from './api-request.ts';
import type { ApiStore } from './api-store.ts';
import type { Failure } from './faults.ts';
import { statusBody } from './status-body.ts';

/** Answers a watch until its time is over, the client leaves, or the fault happens. @returns how to end it */
export function answerWatch(
  store: ApiStore,
  asked: ApiRequest,
  response: ServerResponse,
  { failure, bookmarkMs }: { readonly failure: Failure | undefined; readonly bookmarkMs: number },
): () => void {
  const { resource, query } = asked;
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  if (failure?.do === 'silent') return () => response.destroy();
  let events = 0;
  let ended = false;
  const cleanUps: (() => void)[] = [];
  const end = (finish: () => void): void => {
    ended = true;
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
    finish();
  };
  const write = (type: string, object: object): void => {
    if (ended) return;
    const line = `${JSON.stringify({ type, object })}\n`;
    if (failure?.do === 'cut' && events === failure.afterEvents) {
      return end(() => response.write(line.slice(0, line.length / 2), () => response.destroy()));
    }
    events += 1;
    response.write(line);
    if (failure?.do === 'error-event' && events === failure.afterEvents) fail(new KubeApiError('in stream', failure));
  };
  const fail = (error: KubeApiError): void => {
    end(() => response.end(`${JSON.stringify({ type: 'ERROR', object: statusBody(error) })}\n`));
  };
  if (failure?.do === 'error-event' && failure.afterEvents === 0) {
    fail(new KubeApiError('in stream', failure));
    return () => {};
  }
  const deliver = (event: WatchEvent<KubeObject>): void => {
    if (event.type !== 'BOOKMARK') write(event.type, event.object);
  };
  try {
    cleanUps.push(store.subscribe(resource, selectionOf(asked, store), deliver));
  } catch (error) {
    if (!(error instanceof KubeApiError)) throw error;
    fail(error);
    return () => {};
  }
  if (ended) end(() => {});
  const bookmark = (): void => {
    const metadata = { resourceVersion: store.resourceVersion };
    write('BOOKMARK', { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata });
  };
  if (query.get('allowWatchBookmarks') === 'true') {
    const timer = setInterval(bookmark, bookmarkMs);
    cleanUps.push(() => clearInterval(timer));
  }
  const timeout = setTimeout(() => end(() => response.end()), Number(query.get('timeoutSeconds') ?? 1800) * 1000);
  cleanUps.push(() => clearTimeout(timeout));
  response.on('close', () => end(() => {}));
  return () => end(() => response.destroy());
}

function selectionOf({ query, namespace }: ApiRequest, store: ApiStore) {
  return {
    resourceVersion: query.get('resourceVersion') ?? store.resourceVersion,
    namespace,
    labelSelector: query.get('labelSelector') ?? undefined,
    fieldSelector: query.get('fieldSelector') ?? undefined,
  };
}
