import { credentials } from '@grpc/grpc-js';
import { AdminServiceClient, type FleetPair, type SetFleetMapResponse } from '../../proto/gen/admin.ts';
import { type RunningGateway, startGateway } from './gateways.ts';

export interface FleetOptions {
  readonly pairs: number;
  readonly flags?: readonly string[];
}

/** Gateways of this repository that are a fleet: each a pair of one, all with the same map. */
export class FleetProcesses {
  readonly gateways: readonly RunningGateway[];
  #version = 0;
  #draining = new Set<number>();

  private constructor(gateways: readonly RunningGateway[]) {
    this.gateways = gateways;
  }

  /** Starts them, and hands out a map with all of them, or with the first `active` only. */
  static async start({ pairs, flags = [] }: FleetOptions, active = pairs): Promise<FleetProcesses> {
    const names = Array.from({ length: pairs }, (_, n) => [`--fleet-pair-id=p${n}`, `--backup-server-id=g${n}`]);
    const started = await Promise.allSettled(names.map((own) => startGateway([...own, ...flags])));
    const gateways = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const fleet = new FleetProcesses(gateways);
    const failed = started.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      await fleet.stop();
      throw failed.reason;
    }
    await fleet.setMap(active);
    return fleet;
  }

  gateway(index: number): RunningGateway {
    const gateway = this.gateways[index];
    if (gateway === undefined) throw new Error(`there is no gateway ${index}`);
    return gateway;
  }

  /** Marks a pair as draining in all further maps. */
  drain(index: number): void {
    this.#draining.add(index);
  }

  /** Hands the next version of the map to all gateways: the first `count` of them are in it. */
  async setMap(count: number): Promise<void> {
    this.#version += 1;
    const pairs = this.gateways.slice(0, count).map(
      (gateway, index): FleetPair => ({
        id: `p${index}`,
        clientEndpoints: [gateway.quicAddress],
        zoneEndpoints: [gateway.grpcAddress],
        weight: 1,
        draining: this.#draining.has(index),
      }),
    );
    await Promise.all(this.gateways.map((gateway) => handOut(gateway, this.#version, pairs)));
  }

  async stop(): Promise<void> {
    const stopping = this.gateways.map(async ({ process: child }) => {
      if (!child.exited) process.kill(child.pid, 'SIGCONT');
      await child.stop();
    });
    await Promise.all(stopping);
  }
}

async function handOut(gateway: RunningGateway, version: number, pairs: FleetPair[]): Promise<void> {
  if (gateway.process.exited) return;
  const admin = new AdminServiceClient(gateway.grpcAddress, credentials.createInsecure());
  try {
    const answer = await new Promise<SetFleetMapResponse>((resolve, reject) => {
      admin.setFleetMap({ map: { version: BigInt(version), pairs } }, (error, response) => {
        if (error === null) resolve(response);
        else reject(error);
      });
    });
    if (!answer.success) throw new Error(`the fleet map is refused: ${answer.error?.message}`);
  } finally {
    admin.close();
  }
}
