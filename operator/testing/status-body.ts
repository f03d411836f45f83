import type { KubeApiError } from '../kube-api.ts';

/** `metav1.Status` as the API server sends it. */
export function statusBody(error: KubeApiError): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: error.message,
    reason: error.reason,
    details: error.retryAfterMs > 0 ? { retryAfterSeconds: error.retryAfterMs / 1000 } : {},
    code: error.status,
  };
}
