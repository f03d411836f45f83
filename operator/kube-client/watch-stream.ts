import type { IncomingMessage } from 'node:http';
import { KubeApiError, type KubeObject, type WatchEvent } from '../kube-api.ts';
import { type Call, unanswered } from './requester.ts';
import { errorOfEvent, type StatusBody } from './status-error.ts';

/** etcd takes no object beyond 1.5 MiB; as JSON, and with what the API server adds, it stays well below this. */
const eventLengthMax = 16_777_216;

type RawEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly object: KubeObject }
  | { readonly type: 'ERROR'; readonly object: StatusBody };

/**
 * The events of a watch, one JSON text a line.
 *
 * @throws KubeApiError on an ERROR event with its status, and with status 0 when the stream breaks off
 */
export async function* watchEvents<T extends KubeObject>(
  answer: IncomingMessage,
  call: Call,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  answer.setEncoding('utf8');
  let rest = '';
  try {
    for await (const chunk of answer as AsyncIterable<string>) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > eventLengthMax) throw new RangeError(`an event of more than ${eventLengthMax} characters`);
      for (const line of lines) if (line !== '') yield eventOf<T>(JSON.parse(line), call);
    }
  } catch (error) {
    throw error instanceof KubeApiError ? error : unanswered(call, error, signal);
  }
  if (rest.trim() !== '') throw unanswered(call, new Error('the stream ended within an event'));
}

function eventOf<T extends KubeObject>(event: RawEvent<T>, call: Call): WatchEvent<T> {
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return event;
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: event.object.metadata.resourceVersion ?? '' };
    case 'ERROR':
      throw errorOfEvent(call, event.object);
    default:
      throw new KubeApiError(`watch: unknown event ${JSON.stringify(event).slice(0, 100)}`, { status: 500 });
  }
}
