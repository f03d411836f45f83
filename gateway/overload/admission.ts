import { ErrorCode } from '../protocol/error-codes.ts';
import type { Level } from './grade.ts';

/** What wants in, the most important first. */
export type AdmissionKind =
  | 'resume'
  | 'heartbeat'
  | 'ack'
  | 'connect'
  | 'business-high'
  | 'business'
  | 'push-unicast'
  | 'push-broadcast'
  | 'login';

/** Counted labels of refusals; limits have the names of the configuration. */
export const rejectReasons = [
  'max_connections',
  'connect_rate',
  'max_qps',
  'max_upstream_concurrent',
  'zone_share',
  'zone_adaptive',
  'shedding',
  'event_loop',
  'memory',
] as const;

export type RejectReason = (typeof rejectReasons)[number];

export interface Admitted {
  readonly ok: true;
}

export interface Rejected {
  readonly ok: false;
  readonly reason: RejectReason;
  /** 1xxx for a message, 2xxx for a START or a connection. */
  readonly code: ErrorCode;
  readonly retryAfterMs: number;
}

export type Decision = Admitted | Rejected;

/** The one answer to everything that is admitted, so that admission allocates nothing. */
export const admitted: Admitted = Object.freeze({ ok: true });

/** A level that is never reached. */
const never = 4;

/**
 * What a kind is subject to. Of any two kinds that count as requests, the more important one is admitted whenever the less
 * important one is: its shares are larger, its floors lower, its levels higher.
 */
export interface AdmissionRule {
  readonly code: ErrorCode;
  /** Counts as a request towards max_qps. */
  readonly counted: boolean;
  /** Share of the window it may fill. */
  readonly windowShare: number;
  /** Share of the pacing bucket it must leave for those above it. Costs nothing in the long run: others take it or nobody. */
  readonly paceFloor: number;
  /** From which level of each signal it is refused. */
  readonly requestsLevel: Level | typeof never;
  readonly loopLevel: Level | typeof never;
  readonly memoryLevel: Level | typeof never;
}

const free = {
  counted: false,
  windowShare: 1,
  paceFloor: 0,
  requestsLevel: never,
  loopLevel: never,
  memoryLevel: never,
} as const;

/**
 * Heartbeats and acks are never refused: a refused ack frees no memory and a refused heartbeat comes back as a reconnect; what
 * a client may send of them is bounded by its own rate. While the event loop lags, business is paced down rather than refused.
 */
export const admissionRules: Readonly<Record<AdmissionKind, AdmissionRule>> = {
  resume: { ...free, code: ErrorCode.ERROR_TRY_LATER, counted: true },
  heartbeat: { ...free, code: ErrorCode.ERROR_OVERLOADED },
  ack: { ...free, code: ErrorCode.ERROR_OVERLOADED },
  connect: { ...free, code: ErrorCode.ERROR_TRY_LATER },
  'business-high': { ...free, code: ErrorCode.ERROR_OVERLOADED, counted: true, windowShare: 0.99, paceFloor: 0.01 },
  business: {
    ...free,
    code: ErrorCode.ERROR_OVERLOADED,
    counted: true,
    windowShare: 0.98,
    paceFloor: 0.02,
    memoryLevel: 3,
  },
  'push-unicast': { ...free, code: ErrorCode.ERROR_OVERLOADED, loopLevel: 3, memoryLevel: 3 },
  'push-broadcast': { ...free, code: ErrorCode.ERROR_OVERLOADED, loopLevel: 2, memoryLevel: 2 },
  login: {
    code: ErrorCode.ERROR_TRY_LATER,
    counted: true,
    windowShare: 0.9,
    paceFloor: 0.25,
    requestsLevel: 2,
    loopLevel: 2,
    memoryLevel: 2,
  },
};
