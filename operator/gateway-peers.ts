import type { GateSvr } from './api/gatesvr.ts';
import { namesOf, namespaceOf, podHost, ports } from './desired/names.ts';
import type { GatewayPeer, GatewayTarget } from './gateway-link/gateway-peer.ts';
import type { MemberName } from './pair-view.ts';

/** Makes the peer of a pod and begins to watch it; `changed` is called whenever its observation changed. */
export type ConnectPod = (gateSvr: GateSvr, target: GatewayTarget, changed: () => void) => GatewayPeer;

interface Held {
  readonly peer: GatewayPeer;
  /** What the link was made with; another makes another link. */
  readonly identity: string;
}

/** The operator's links to gateways: one a pod, kept as long as it is the same pod. */
export class GatewayPeers {
  #connect: ConnectPod;
  #held = new Map<string, Held>();

  constructor(connect: ConnectPod) {
    this.#connect = connect;
  }

  /** The link to a pod that has an address, made when it is first asked for. */
  ensure(
    gateSvr: GateSvr,
    pairIndex: number,
    member: MemberName,
    pod: { readonly uid: string; readonly ip: string },
    changed: () => void,
  ): GatewayPeer {
    const namespace = namespaceOf(gateSvr);
    const podName = namesOf(gateSvr).pod(pairIndex, member);
    const { heartbeatInterval, heartbeatTimeout } = gateSvr.spec.failover;
    const identity = [pod.uid, pod.ip, heartbeatInterval, heartbeatTimeout].join(' ');
    const key = `${namespace}/${podName}`;
    const held = this.#held.get(key);
    if (held?.identity === identity) return held.peer;
    held?.peer.close();
    const address = pod.ip.includes(':') ? `[${pod.ip}]:${ports.grpc}` : `${pod.ip}:${ports.grpc}`;
    const tlsName = podHost(gateSvr, pairIndex, member);
    const peer = this.#connect(gateSvr, { namespace, podName, podUid: pod.uid, address, tlsName }, changed);
    this.#held.set(key, { peer, identity });
    return peer;
  }

  /** The link to a pod of this name, of whatever uid. */
  find(namespace: string, podName: string): GatewayPeer | undefined {
    return this.#held.get(`${namespace}/${podName}`)?.peer;
  }

  close(namespace: string, podName: string): void {
    const key = `${namespace}/${podName}`;
    this.#held.get(key)?.peer.close();
    this.#held.delete(key);
  }

  /** Ends all links. */
  stop(): void {
    for (const { peer } of this.#held.values()) peer.close();
    this.#held.clear();
  }
}
