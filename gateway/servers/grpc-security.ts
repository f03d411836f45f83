import {
  type ChannelCredentials,
  credentials as channelCredentials,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServerMethodDefinition,
  status,
} from '@grpc/grpc-js';
import { mayCall, rolesOf } from '../auth/roles.ts';

/** How this gateway speaks gRPC, as a server and to zones, peers and services of its own. */
export interface GrpcSecurity {
  readonly server: ServerCredentials;
  readonly channel: ChannelCredentials;
  readonly interceptors: readonly ServerInterceptor[];
}

export const plaintextGrpc: GrpcSecurity = {
  server: ServerCredentials.createInsecure(),
  channel: channelCredentials.createInsecure(),
  interceptors: [],
};

/** TLS both ways with the gateway's certificate; callers must show one of `ca`, without which nobody can be recognised. */
export function mutualTls(certificate: string, privateKey: string, ca: string | undefined): GrpcSecurity {
  const roots = ca === undefined ? null : Buffer.from(ca);
  const [chain, key] = [Buffer.from(certificate), Buffer.from(privateKey)];
  return {
    server: ServerCredentials.createSsl(roots, [{ cert_chain: chain, private_key: key }], true),
    channel: channelCredentials.createSsl(roots, key, chain),
    interceptors: [roleInterceptor],
  };
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
  if (certificate === undefined) return new Set();
  const commonName = certificate.subject?.CN ?? '';
  return rolesOf({
    commonName: Array.isArray(commonName) ? (commonName[0] ?? '') : commonName,
    subjectAltName: certificate.subjectaltname ?? '',
  });
}
