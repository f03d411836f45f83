import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import {
  type ChannelCredentials,
  credentials as channelCredentials,
  experimental,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServerMethodDefinition,
  status,
} from '@grpc/grpc-js';
import { mayCall, rolesOf } from '../auth/roles.ts';
import { checkIdentity, type GrpcIdentity, LiveCertificates } from './live-certificates.ts';

/** How this gateway speaks gRPC, as a server and to zones, peers and services of its own. */
export interface GrpcSecurity {
  readonly server: ServerCredentials;
  readonly channel: ChannelCredentials;
  /** Towards zones, which are known by their role where their address says nothing. */
  readonly zoneChannel: ChannelCredentials;
  readonly interceptors: readonly ServerInterceptor[];
  /** Checks a new identity. @returns what puts it in force. @throws Error when it is refused. */
  readonly renew: (identity: GrpcIdentity) => () => void;
}

const nothingToRenew = () => () => {};

export const plaintextGrpc: GrpcSecurity = {
  server: ServerCredentials.createInsecure(),
  channel: channelCredentials.createInsecure(),
  zoneChannel: channelCredentials.createInsecure(),
  interceptors: [],
  renew: nothingToRenew,
};

/** TLS both ways with the gateway's certificate; callers must show one of `ca`, without which nobody can be recognised. */
export function mutualTls(certificate: string, privateKey: string, ca: string | undefined): GrpcSecurity {
  if (ca !== undefined) return renewableTls({ certificate, privateKey, ca });
  const [chain, key] = [Buffer.from(certificate), Buffer.from(privateKey)];
  return {
    server: ServerCredentials.createSsl(null, [{ cert_chain: chain, private_key: key }], true),
    channel: channelCredentials.createSsl(null, key, chain),
    zoneChannel: channelCredentials.createSsl(null, key, chain),
    interceptors: [roleInterceptor],
    renew: nothingToRenew,
  };
}

function renewableTls(identity: GrpcIdentity): GrpcSecurity {
  const live = new LiveCertificates(identity);
  return {
    server: experimental.createCertificateProviderServerCredentials(live, live, true),
    channel: experimental.createCertificateProviderChannelCredentials(live, live),
    zoneChannel: experimental.createCertificateProviderChannelCredentials(live, live, {
      checkServerIdentity: checkZoneIdentity,
    }),
    interceptors: [roleInterceptor],
    renew: (next) => {
      checkIdentity(next);
      return () => live.use(next);
    },
  };
}

/**
 * A zone is believed by its role: it is found by the address of a pod, which no certificate can name in advance. Everything else
 * must be named in its certificate. The chain up to our authority was checked before.
 */
function checkZoneIdentity(host: string, certificate: PeerCertificate): Error | undefined {
  return rolesOfCertificate(certificate).has('zone') ? undefined : checkServerIdentity(host, certificate);
}

/** Refuses calls that the names in the caller's certificate give no role for. Health and reflection are open to all of ours. */
const roleInterceptor: ServerInterceptor = (method, call) => {
  const service = serviceOf(method);
  if (mayCall(rolesOfCaller(call), service)) return new ServerInterceptingCall(call);
  const listener = new ServerListenerBuilder().withOnReceiveMetadata(() =>
    call.sendStatus({ code: status.PERMISSION_DENIED, details: `this certificate may not call ${service}` }),
  );
  return new ServerInterceptingCall(call, { start: (next) => next(listener.build()) });
};

function serviceOf(method: ServerMethodDefinition<unknown, unknown>): string {
  return method.path.split('/')[1] ?? '';
}

function rolesOfCaller(call: ServerInterceptingCallInterface): ReturnType<typeof rolesOf> {
  const certificate = call.getAuthContext().sslPeerCertificate;
  return certificate === undefined ? new Set() : rolesOfCertificate(certificate);
}

function rolesOfCertificate(
  certificate: Pick<PeerCertificate, 'subject' | 'subjectaltname'>,
): ReturnType<typeof rolesOf> {
  const commonName = certificate.subject?.CN ?? '';
  return rolesOf({
    commonName: Array.isArray(commonName) ? (commonName[0] ?? '') : commonName,
    subjectAltName: certificate.subjectaltname ?? '',
  });
}
