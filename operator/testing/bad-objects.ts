/** What is wrong, the spec, and what the API server must say. */
type BadObject = [what: string, spec: object, message: string];

export const badGateSvrs: readonly BadObject[] = [
  ['no pair', { pairs: 0 }, 'spec.pairs in body should be greater than or equal to 1'],
  ['too many pairs', { pairs: 101 }, 'spec.pairs in body should be less than or equal to 100'],
  ['a pair that is no number', { pairs: 'two' }, 'spec.pairs in body must be of type integer: "string"'],
  [
    'an unknown mode',
    { auth: { mode: 'magic' } },
    'Unsupported value: "magic": supported values: "none", "hmac", "jwt", "grpc"',
  ],
  ['hmac without a secret', { auth: { mode: 'hmac' } }, 'auth.mode hmac needs auth.hmac'],
  ['jwt without keys', { auth: { mode: 'jwt', jwt: {} } }, 'expected exactly one of jwksUrl and jwksConfigMap'],
  [
    'warning at its limit',
    { overload: { maxQps: 100, qpsWarningThreshold: 100 } },
    'qpsWarningThreshold must be less than maxQps',
  ],
  [
    'warning above its limit',
    { overload: { connectionWarningThreshold: 5000 } },
    'connectionWarningThreshold must be less than maxConnections',
  ],
  [
    'a hasty timeout',
    { failover: { heartbeatInterval: '500ms', heartbeatTimeout: '1s' } },
    'heartbeatTimeout must be at least 3 × heartbeatInterval',
  ],
  ['a hasty reset', { failover: { resetAfter: '1s' } }, 'resetAfter must be at least 2 × heartbeatTimeout'],
  ['a duration without unit', { failover: { delay: '5' } }, 'spec.failover.delay in body should match'],
  ['a duration out of range', { failover: { heartbeatInterval: '2m', heartbeatTimeout: '9m' } }, 'expected 10ms to 1m'],
  [
    'an address of all pairs',
    { pairs: 2, quic: { advertise: 'gate.example:8453' } },
    'quic.advertise must contain {pair} when there is more than one pair',
  ],
  ['a node port inside', { quic: { nodePort: 30000 } }, 'nodePort needs serviceType NodePort or LoadBalancer'],
  [
    'a class without balancer',
    { quic: { loadBalancerClass: 'x' } },
    'loadBalancerClass needs serviceType LoadBalancer',
  ],
  ['a port out of range', { quic: { port: 70000 } }, 'spec.quic.port in body should be less than or equal to 65535'],
  ['frames that fit no queue', { session: { maxFrameBytes: 1048576 } }, 'queueMaxBytes must be at least maxFrameBytes'],
  [
    'a heart that beats once',
    { session: { idleTimeout: '15s' } },
    'idleTimeout must be at least 2 × heartbeatInterval',
  ],
  [
    'certificates that end at once',
    { certificates: { validity: '24h', renewBefore: '24h' } },
    'validity must be at least 2 × renewBefore',
  ],
  [
    'two servers of one Redis',
    { directory: { redis: { addresses: ['a:1', 'b:1'] } } },
    'mode standalone has exactly one address',
  ],
  [
    'a cluster with a database',
    { directory: { redis: { mode: 'cluster', addresses: ['a:1'], database: 3 } } },
    'a cluster has only database 0',
  ],
  [
    'labels of the operator',
    { podTemplate: { labels: { 'gatesvr.io/role': 'primary' } } },
    'labels of gatesvr.io belong to the operator',
  ],
  [
    'memory of no size',
    { resources: { limits: { memory: 'much' } } },
    'spec.resources.limits.memory in body should match',
  ],
  ['an image with a blank', { image: 'a b' }, 'spec.image in body should match'],
  [
    'too many tolerations',
    { scheduling: { tolerations: Array.from({ length: 33 }, () => ({ operator: 'Exists' })) } },
    'spec.scheduling.tolerations: Too many: 33: must have at most 32 items',
  ],
];

/** Laid over a spec that is good. */
export const badZones: readonly BadObject[] = [
  ['number of one digit', { zoneId: '1' }, 'spec.zoneId in body should match'],
  ['number 000', { zoneId: '000' }, 'expected 001 to 999'],
  ['no endpoints', { endpoints: {} }, 'expected exactly one of addresses and service'],
  [
    'both kinds of endpoints',
    { endpoints: { addresses: [{ address: 'z:1' }], service: { name: 's', port: 1 } } },
    'expected exactly one of addresses and service',
  ],
  [
    'an address without port',
    { endpoints: { addresses: [{ address: 'zone' }] } },
    'spec.endpoints.addresses[0].address in body should match',
  ],
  ['port 0', { endpoints: { addresses: [{ address: 'zone:0' }] } }, 'expected a port from 1 to 65535'],
  ['port 65536', { endpoints: { addresses: [{ address: 'zone:65536' }] } }, 'expected a port from 1 to 65535'],
  ['an address twice', { endpoints: { addresses: [{ address: 'z:1' }, { address: 'z:1' }] } }, 'Duplicate value'],
  [
    'a Service’s port 0',
    { endpoints: { service: { name: 's', port: 0 } } },
    'expected a port from 1 to 65535, or the name of a port',
  ],
  ['a weight of nothing', { weight: 0 }, 'spec.weight in body should be greater than or equal to 1'],
];
