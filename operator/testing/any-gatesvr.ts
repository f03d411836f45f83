import fc from 'fast-check';
import { gateSvrOf } from './defaulted.ts';

const dnsLabel = fc.stringMatching(/^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/);
/** Any GateSvr that the API server accepts, as far as it shapes objects. */
export const anyGateSvr = fc
  .record({
    name: dnsLabel,
    pairs: fc.integer({ min: 1, max: 4 }),
    serviceType: fc.constantFrom('ClusterIP' as const, 'NodePort' as const, 'LoadBalancer' as const),
    mode: fc.constantFrom('none' as const, 'hmac' as const, 'jwt' as const, 'grpc' as const),
    antiAffinity: fc.constantFrom('Preferred' as const, 'Required' as const),
    ownCertificate: fc.boolean(),
    redis: fc.constantFrom('none' as const, 'standalone' as const, 'sentinel' as const),
  })
  .map(({ name, pairs, serviceType, mode, antiAffinity, ownCertificate, redis }) =>
    gateSvrOf(
      { name },
      {
        pairs,
        quic: { serviceType, ...(ownCertificate ? { tlsSecret: { name: 'mine' } } : {}) },
        scheduling: { antiAffinity },
        directory:
          redis === 'none'
            ? {}
            : { redis: { mode: redis, addresses: ['redis:6379'], passwordSecret: { name: 'redis', key: 'password' } } },
        auth: {
          mode,
          ...(mode === 'hmac' ? { hmac: { secret: { name: 'tokens', key: 'hmac' } } } : {}),
          ...(mode === 'jwt' ? { jwt: { jwksConfigMap: { name: 'keys', key: 'jwks' } } } : {}),
          ...(mode === 'grpc' ? { grpc: { address: 'auth.games.svc:9000' } } : {}),
        },
      },
    ),
  );
