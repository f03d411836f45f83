import { Authority } from './pki.ts';
import { restrictedPod } from './pods.ts';

/** A gateway without a pair, and zones, with real certificates and logins: objects of one namespace. */

const credentialsName = 'gatesvr';

const folder = '/etc/gatesvr';
const zoneFlags = [`--ca=${folder}/ca.crt`, `--cert=${folder}/zone.crt`, `--key=${folder}/zone.key`];
const mounted = { volumeMounts: [{ name: 'gatesvr', mountPath: folder, readOnly: true }] };
const pod = { volumes: [{ name: 'gatesvr', secret: { secretName: credentialsName } }] };

export const loginKeyFile = `${folder}/login.key`;
export const caFile = `${folder}/ca.crt`;
export const drainTimeoutMs = 25_000;

const settings = `
server:
  cert_file: ${folder}/gateway.crt
  key_file: ${folder}/gateway.key
  ca_file: ${caFile}
  drain_timeout: ${drainTimeoutMs / 1000}s
auth:
  mode: hmac
  hmac_secret_file: ${loginKeyFile}
`;

/** Configuration, certificates and secrets, as files of one Secret. */
export async function makeCredentials(): Promise<object> {
  const authority = await Authority.make('gatesvr-e2e');
  const gateway = await authority.issue({ commonName: 'gateway', names: ['gateway'] });
  const zone = await authority.issue({ commonName: 'zone', names: ['zone'] });
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: credentialsName },
    stringData: {
      'gatesvr.yaml': settings,
      'ca.crt': authority.credentials.certificate,
      'gateway.crt': gateway.certificate,
      'gateway.key': gateway.privateKey,
      'zone.crt': zone.certificate,
      'zone.key': zone.privateKey,
      'login.key': 'the secret that signs the tokens of this test\n',
    },
  };
}

/** Ends for good when its gateway does. */
export function gatewayPod(name: string): object {
  const probe = (path: string) => ({ httpGet: { path, port: 8080 }, periodSeconds: 1 });
  const container = {
    args: ['gateway', `--config=${folder}/gatesvr.yaml`],
    readinessProbe: probe('/ready'),
    startupProbe: { ...probe('/health'), failureThreshold: 60 },
    livenessProbe: { ...probe('/health'), timeoutSeconds: 5, failureThreshold: 5 },
    ...mounted,
  };
  return restrictedPod(name, [container], { labels: { role: 'gateway' }, restartPolicy: 'Never', ...pod });
}

export const gatewayService = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'gateway' },
  spec: {
    selector: { role: 'gateway' },
    ports: [
      { name: 'quic', protocol: 'UDP', port: 8453 },
      { name: 'grpc', protocol: 'TCP', port: 8092 },
    ],
  },
};

const zoneService = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'zone' },
  spec: { selector: { app: 'zone' }, ports: [{ port: 9001 }] },
};

/** The example zone of the command line. */
export function exampleZone(zoneId: string): readonly object[] {
  const flags = [`--zone=${zoneId}`, '--addr=:9001', '--advertise=zone:9001', '--gateway=gateway:8092', ...zoneFlags];
  return [restrictedPod('zone', [{ args: ['upstream', ...flags], ...mounted }], pod), zoneService];
}

/** A pod that waits to be told by `exec` to be a client. */
export function clientPod(name: string): object {
  return restrictedPod(name, [{ command: ['node', '-e', 'setInterval(() => {}, 1e6)'], ...mounted }], pod);
}
