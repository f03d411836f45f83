import { join } from 'node:path';
import { Child } from './child.ts';
import { benchFlags, type RunningGateway, startGateway, startGoZones, startPeer } from './gateways.ts';

/** Ours is the gateway of this repository, peer the one on quic-go and grpc-go in bench/peers. */
export type Contestant = 'ours' | 'peer';

/** Both orders in turn, so that a machine that slows down or warms up favours neither. */
export function contestants(round: number, only: Contestant | undefined): readonly Contestant[] {
  if (only !== undefined) return [only];
  return round % 2 === 0 ? ['ours', 'peer'] : ['peer', 'ours'];
}

/**
 * Runs a measurement on a freshly started gateway with the Go zones behind it, under load from bench/peers/load.
 * @param programs the folder of the built Go programs.
 * @param loadFlags what the load program gets beside the address.
 */
export async function withLoad<T>(
  contestant: Contestant,
  programs: string,
  loadFlags: readonly string[],
  measure: (gateway: RunningGateway, load: Child, zones: Child) => Promise<T>,
): Promise<T> {
  const gateway = contestant === 'ours' ? await startGateway(benchFlags) : await startPeer(programs);
  const started = [gateway.process];
  try {
    const zones = await startGoZones(programs, gateway);
    started.push(zones);
    const flags = ['--addr', gateway.quicAddress, ...loadFlags];
    const load = await Child.start(join(programs, 'load'), flags, { interactive: true });
    started.push(load);
    return await measure(gateway, load, zones);
  } finally {
    for (const child of started.reverse()) await child.stop();
  }
}
