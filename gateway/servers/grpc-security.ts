import {
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServerMethodDefinition,
  status,
} from '@grpc/grpc-js';
import { mayCall, rolesOf } from '../auth/roles.ts';

/** Serves TLS and asks for a client certificate of `ca`; without a `ca` nobody can be recognised and all are refused. */
export function mutualTls(certificate: string, privateKey: string, ca: string | undefined): ServerCredentials {
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(privateKey) };
  return ServerCredentials.createSsl(ca === undefined ? null : Buffer.from(ca), [pair], true);
}

/** Refuses calls that the names in the caller's certificate give no role for. Health and reflection are open to all of ours. */
export const roleInterceptor: ServerInterceptor = (method, call) => {
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
