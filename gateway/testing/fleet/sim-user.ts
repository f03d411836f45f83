import type { FleetPair } from '../../fleet/fleet-map.ts';
import { check } from '../sessions/ledger.ts';
import type { FleetWorld } from './fleet-world.ts';
import type { SimGateway } from './sim-pair.ts';

const redirectsMax = 4;
const pauseMs = 300;

/** A user whose client always wants to be connected: it starts anywhere and follows redirects, as the SDK does. */
export class SimUser {
  readonly openid: string;
  #world: FleetWorld;
  #gateway: SimGateway | undefined;
  #sessionId = '';
  #binding = 0;
  #trying = false;
  #lastHops = 0;
  #sessions = 0;

  constructor(openid: string, world: FleetWorld) {
    this.openid = openid;
    this.#world = world;
  }

  /** Looks whether it is still connected, and begins anew when it is not. */
  tick(): void {
    const gateway = this.#gateway;
    if (gateway !== undefined) {
      const session = gateway.pair.machine.session(this.#sessionId);
      if (gateway.serving && session?.binding === this.#binding) return;
      this.#gateway = undefined;
      gateway.pair.submit({ kind: 'detach', sessionId: this.#sessionId, binding: this.#binding });
    }
    if (this.#trying) return;
    this.#trying = true;
    this.#start(this.#world.anyGateway().endpoint, 0);
  }

  /** Faults are over: it has one session, at its owner, and everybody finds it. */
  checkSettled(): void {
    const { pairs } = this.#world;
    const at = pairs.filter(({ machine }) => machine.sessionOf(this.openid) !== undefined).map(({ id }) => id);
    const owner = pairs[0]?.gateways[0].fleet.map?.ownerOf(this.openid).id ?? '';
    check(this.#gateway !== undefined, 'settled', () => `${this.openid} is not connected; its sessions are at ${at}`);
    check(at.join() === owner, 'settled', () => `${this.openid} belongs to ${owner}, its sessions are at ${at}`);
    check(this.#lastHops <= redirectsMax, 'redirect', () => `${this.openid} followed ${this.#lastHops} redirects`);
  }

  #start(endpoint: string, hops: number): void {
    const { clock, random } = this.#world;
    clock.schedule(random.between(5, 40), () => {
      const gateway = this.#world.gatewayAt(endpoint);
      if (gateway === undefined || !gateway.alive) return this.#pause();
      if (!gateway.serving) return this.#redirected(gateway.context.shard.zoneRedirect, hops);
      if (gateway.pair.machine.sessionOf(this.openid) !== undefined) return this.#login(gateway, hops);
      gateway.node.place(this.openid, (elsewhere: FleetPair | undefined) => {
        if (elsewhere !== undefined)
          return this.#redirected(elsewhere.clientEndpoints[random.between(0, 1)] ?? '', hops);
        if (gateway.serving) this.#login(gateway, hops);
        else this.#pause();
      });
    });
  }

  #redirected(endpoint: string, hops: number): void {
    if (hops >= redirectsMax) this.#pause();
    else this.#start(endpoint, hops + 1);
  }

  #pause(): void {
    this.#world.clock.schedule(pauseMs, () => this.#start(this.#world.anyGateway().endpoint, 0));
  }

  #login(gateway: SimGateway, hops: number): void {
    this.#sessions += 1;
    const newSessionId = `${gateway.pair.id}.${this.openid}-${this.#sessions}`;
    const who = { openid: this.openid, clientId: '', userIp: '', connection: 1, wallMs: this.#world.clock.wallMs() };
    gateway.pair.submit({ kind: 'start', ...who, secondLogin: 'resume', newSessionId }, (outcome) => {
      if (outcome.kind !== 'started') return this.#pause();
      this.#gateway = gateway;
      this.#sessionId = outcome.sessionId;
      this.#binding = outcome.binding;
      this.#lastHops = hops;
      this.#trying = false;
      gateway.node.sessionStarted(this.openid, outcome.sessionId, true);
    });
  }
}
