import { type MemberName, PairProcesses } from '../../bench/lib/pair.ts';
import { Random } from '../../gateway/testing/random.ts';
import type { PairWorld } from './faults.ts';
import { LinkProxy } from './link-proxy.ts';
import { PairLoad } from './pair-load.ts';

export interface WorldOptions {
  readonly clients: number;
  /** Of the choices of the load. */
  readonly seed: number;
  readonly pushPauseMs?: number;
  readonly requestPauseMs?: number;
}

const flags = [
  '--log-level=info',
  '--heartbeat-interval=500ms',
  // The machine may be slow: nobody is given up for that.
  '--resume-window=5m',
  '--overload-protection-max-upstream-concurrent=10000',
];

/** A pair of gateways, zones behind it, clients before it. Nothing flows until `load.run()`. */
export async function startWorld(options: WorldOptions): Promise<PairWorld & { stop(): Promise<void> }> {
  const links: Record<MemberName, LinkProxy[]> = { a: [], b: [] };
  const stopLinks = async () => {
    await Promise.all([...links.a, ...links.b].map((link) => link.close()));
  };
  const via = async (from: MemberName, address: string) => {
    const link = await LinkProxy.start(address);
    links[from].push(link);
    return link.address;
  };
  let pair: PairProcesses | undefined;
  try {
    const started = await PairProcesses.start({ flags, via });
    pair = started;
    const { clientEndpoints, zoneEndpoints } = started;
    const { clients, seed, pushPauseMs = 250, requestPauseMs = 500 } = options;
    const load = await PairLoad.start({
      clientEndpoints,
      zoneEndpoints,
      clients,
      pushPauseMs,
      requestPauseMs,
      random: new Random(seed),
    });
    const stop = async () => {
      await load.stop();
      await started.stop();
      await stopLinks();
    };
    return { pair: started, load, links, stop };
  } catch (error) {
    await pair?.stop();
    await stopLinks();
    throw error;
  }
}
