/** What QUIC implementations differ in; the conformance suite asks for each that an adapter has. */
const capabilityNames = [
  'twoPacketHello',
  'keyUpdate',
  'pathMigration',
  'portUnreachable',
  'ticketRotation',
  'sharedTickets',
  'statelessReset',
  'qlog',
  'keyLog',
  'ecn',
] as const;

export type Capability = (typeof capabilityNames)[number];

/** True, or why not. */
export type Capabilities = Readonly<Record<Capability, true | string>>;

export const allCapabilities = Object.fromEntries(capabilityNames.map((name) => [name, true])) as Capabilities;
