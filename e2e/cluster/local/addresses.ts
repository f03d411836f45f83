/**
 * Addresses and names of one local cluster. They follow from its number, so that several run side by side: each has a
 * 16th of 198.18.0.0/15, the range set aside for benchmarks (RFC 2544, appendix C.2.2).
 */
export interface LocalAddresses {
  /** Of the bridge that joins the nodes; at most 15 characters. */
  readonly bridge: string;
  /** This machine on that bridge: API server and DNS. */
  readonly host: string;
  readonly podRange: string;
  readonly serviceRange: string;
  readonly dnsService: string;
  readonly nodes: readonly NodeAddresses[];
}

export interface NodeAddresses {
  readonly name: string;
  readonly address: string;
  readonly podRange: string;
  readonly networkNamespace: string;
  /** The end of its cable at the bridge; pulling it cuts the node off. */
  readonly cable: string;
  readonly cgroup: string;
}

export const clustersMax = 16;

/** @param number from 0 */
export function localAddresses(number: number): LocalAddresses {
  const third = 16 * number;
  const nodes = ['a', 'b'].map((letter, index) => ({
    name: `local-${number}-${letter}`,
    address: `198.18.${third + 15}.${index + 2}`,
    podRange: `198.18.${third + index}.0/24`,
    networkNamespace: `gatesvr-e2e-${number}-${letter}`,
    cable: `gs${number}${letter}`,
    cgroup: `gatesvr-e2e-${number}-${letter}`,
  }));
  return {
    bridge: `gs${number}`,
    host: `198.18.${third + 15}.1`,
    podRange: `198.18.${third}.0/20`,
    serviceRange: `198.19.${third}.0/20`,
    dnsService: `198.19.${third}.10`,
    nodes,
  };
}
