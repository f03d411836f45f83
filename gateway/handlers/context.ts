import type { PushLevel } from '../../proto/gen/upstream.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import type { FleetNode } from '../fleet/fleet-node.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/log.ts';
import type { ClientRates } from '../overload/client-rates.ts';
import type { OverloadProtector } from '../overload/protector.ts';
import type { Command, SecondLogin } from '../session/command.ts';
import type { Delivery } from '../session/delivery.ts';
import type { Outcome } from '../session/effect.ts';
import type { TokenPlace } from '../session/resume-token.ts';
import type { SessionMachine } from '../session/session-machine.ts';
import type { ConnectionWriter } from '../transport/transport.ts';
import type { UpstreamRouter } from '../upstream/router.ts';
import type { ConnectionTable } from './connection.ts';
import type { ParkedStarts } from './parked-starts.ts';
import type { PushWaiters } from './push-waiters.ts';
import type { Turn } from './turn.ts';

/** The part of the shard that handlers use: order a command, hear its outcome once it is committed. */
export interface ShardPort {
  readonly id: string;
  readonly epoch: number;
  readonly history: string;
  /** How safe a push is once it is committed (I2). */
  readonly pushLevel: PushLevel;
  readonly role: string;
  /** This gateway decides for the shard: it is primary and not paused for a switchover. */
  readonly serving: boolean;
  /** Where clients find the primary; empty when it is not known. */
  readonly redirect: string;
  /** How long a client that resumes may wait here for this gateway to take over; 0 when it will not. */
  readonly successionWaitMs: number;
  /** Where zones and administrators find the primary; empty when it is not known. */
  readonly zoneRedirect: string;
  /** Names this process start, or this start of an empty copy. */
  readonly incarnation: string;
  readonly logIndex: number;
  readonly commitIndex: number;
  /** Incarnations that hold all that was committed. */
  readonly inSync: readonly string[];
  readonly peerHeartbeatLost: boolean;
  /** Why a primary does not answer its clients; '' when it does. */
  readonly blocked: string;
  /** @param dropped called instead of `committed` when the outcome will not be known here. */
  submit(command: Command, committed?: (outcome: Outcome) => void, dropped?: () => void): void;
}

/** What the handlers need of the configuration, already checked. */
export interface HandlerSettings {
  readonly startTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly resumeWindowMs: number;
  /** How long a replaced connection may still read what was on its way. */
  readonly replacedGraceMs: number;
  readonly secondLogin: SecondLogin;
  readonly maxFrameBytes: number;
  readonly zoneCount: number;
  /** A zone that does not register again within this time is taken out. */
  readonly zoneLeaseMs: number;
  /** Where clients find this gateway and its peer; sent in START responses and GOAWAY. */
  readonly endpoints: readonly string[];
  /** Where zones find this gateway and its peer; sent in register responses. */
  readonly upstreamEndpoints: readonly string[];
}

/** Resume tokens under the shard's keys. */
export interface ResumeTokens {
  mint(place: TokenPlace): Uint8Array;
  /** What a token of ours says; undefined for any other. */
  verify(token: Uint8Array): TokenPlace | undefined;
}

/** Counts what passes; cheap enough to be called for every message. */
export interface Meter {
  request(type: RequestKind, result: 'ok' | 'refused' | 'failed', durationMs: number): void;
  rejected(code: number): void;
  /** From a command's submission to its commit. */
  committed(durationMs: number): void;
  bytes(received: number, sent: number): void;
}

export type RequestKind = 'start' | 'stop' | 'heartbeat' | 'business' | 'ack' | 'push' | 'broadcast';

/** What the handlers use of the upstream router. */
export type RouterPort = Pick<
  UpstreamRouter,
  'available' | 'request' | 'setEndpoints' | 'setTimeoutMs' | 'status' | 'close'
>;

export interface HandlerContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: HandlerSettings;
  readonly shard: ShardPort;
  /** Absent when this gateway or pair is alone. */
  readonly fleet?: FleetNode;
  readonly sessions: SessionMachine;
  readonly delivery: Delivery;
  readonly router: RouterPort;
  readonly protector: OverloadProtector;
  readonly authenticator: Authenticator;
  readonly tokens: ResumeTokens;
  readonly connections: ConnectionTable;
  readonly pushWaiters: PushWaiters;
  readonly parkedStarts: ParkedStarts;
  readonly client: ConnectionWriter;
  readonly meter: Meter;
  /** Asked for after anything was queued for clients or zones; sends it all at the end of the turn. */
  readonly turn: Turn;
  readonly rates: ClientRates;
  readonly newId: () => string;
  /** Runs something once, later; the milliseconds are a lower bound. */
  readonly schedule: (delayMs: number, run: () => void) => void;
}
