import { stringify } from 'yaml';
import type { Credentials } from './pki.ts';

const base64 = (text: string) => Buffer.from(text).toString('base64');

/** @param server `https://HOST:PORT` */
export function kubeconfig(server: string, caCertificate: string, user: Credentials): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'gatesvr-e2e', cluster: { server, 'certificate-authority-data': base64(caCertificate) } }],
    users: [
      {
        name: 'user',
        user: {
          'client-certificate-data': base64(user.certificate),
          'client-key-data': base64(user.privateKey),
        },
      },
    ],
    contexts: [{ name: 'gatesvr-e2e', context: { cluster: 'gatesvr-e2e', user: 'user' } }],
    'current-context': 'gatesvr-e2e',
  });
}
