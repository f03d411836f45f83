import type { IncomingMessage } from 'node:http';
import { KubeApiError } from '../kube-api.ts';
import type { Call } from './requester.ts';

/** `metav1.Status`, as far as it is read. */
export interface StatusBody {
  readonly kind?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly retryAfterSeconds?: number };
}

const messageLengthMax = 2000;

/** What the API server said instead of success. */
export function errorOf(call: Call, answer: IncomingMessage, body: string): KubeApiError {
  const status = statusOf(body);
  const code = answer.statusCode ?? 0;
  const message = status?.message ?? (body.trim() === '' ? (answer.statusMessage ?? '') : body.trim());
  const header = Number(answer.headers['retry-after']);
  const seconds = Number.isFinite(header) ? header : (status?.details?.retryAfterSeconds ?? 0);
  return new KubeApiError(`${call.method} ${call.path.split('?')[0]}: ${code}: ${message.slice(0, messageLengthMax)}`, {
    status: code,
    reason: status?.reason ?? '',
    retryAfterMs: Math.max(0, seconds) * 1000,
  });
}

/** What an ERROR event of a watch says. */
export function errorOfEvent(call: Call, status: StatusBody): KubeApiError {
  const message = (status.message ?? 'no message').slice(0, messageLengthMax);
  return new KubeApiError(`watch ${call.path.split('?')[0]}: ${status.code ?? 500}: ${message}`, {
    status: status.code ?? 500,
    reason: status.reason ?? '',
    retryAfterMs: (status.details?.retryAfterSeconds ?? 0) * 1000,
  });
}

function statusOf(body: string): StatusBody | undefined {
  try {
    const parsed: StatusBody | null = JSON.parse(body);
    return parsed?.kind === 'Status' ? parsed : undefined;
  } catch {
    return undefined;
  }
}
