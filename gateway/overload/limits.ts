import type { OverloadLimits as OverloadLimitsMessage } from '../../proto/gen/admin.ts';

/**
 * The limits of the overload protector, with the names of the seed (§5.4). They change as one whole, at run time too.
 */
export interface OverloadLimits {
  readonly enabled: boolean;
  readonly maxConnections: number;
  readonly connectionWarningThreshold: number;
  /** Requests a second, as an average over the window. */
  readonly maxQps: number;
  readonly qpsWarningThreshold: number;
  readonly qpsWindowSeconds: number;
  /** Requests that wait for a zone's answer. */
  readonly maxUpstreamConcurrent: number;
  readonly upstreamTimeoutMs: number;
  readonly upstreamWarningThreshold: number;
}

export const defaultOverloadLimits: OverloadLimits = {
  enabled: true,
  maxConnections: 1000,
  connectionWarningThreshold: 800,
  maxQps: 2000,
  qpsWarningThreshold: 1600,
  qpsWindowSeconds: 10,
  maxUpstreamConcurrent: 100,
  upstreamTimeoutMs: 30_000,
  upstreamWarningThreshold: 80,
};

/** Says which rule a set of limits breaks; the limits in force stay. */
export class OverloadLimitsError extends Error {
  override readonly name = 'OverloadLimitsError';
}

type NumberKey = Exclude<keyof OverloadLimits, 'enabled'>;

/** Names as in the configuration file, so that an error means something to whoever wrote it. */
const ranges: readonly (readonly [key: NumberKey, name: string, max: number])[] = [
  ['maxConnections', 'max_connections', 10_000_000],
  ['connectionWarningThreshold', 'connection_warning_threshold', 10_000_000],
  ['maxQps', 'max_qps', 100_000_000],
  ['qpsWarningThreshold', 'qps_warning_threshold', 100_000_000],
  ['qpsWindowSeconds', 'qps_window_seconds', 3600],
  ['maxUpstreamConcurrent', 'max_upstream_concurrent', 10_000_000],
  ['upstreamTimeoutMs', 'upstream_timeout', 3_600_000],
  ['upstreamWarningThreshold', 'upstream_warning_threshold', 10_000_000],
];

const pairs: readonly (readonly [limit: NumberKey, limitName: string, warning: NumberKey, warningName: string])[] = [
  ['maxConnections', 'max_connections', 'connectionWarningThreshold', 'connection_warning_threshold'],
  ['maxQps', 'max_qps', 'qpsWarningThreshold', 'qps_warning_threshold'],
  ['maxUpstreamConcurrent', 'max_upstream_concurrent', 'upstreamWarningThreshold', 'upstream_warning_threshold'],
];

/**
 * Checks a set of limits as a whole.
 * @throws OverloadLimitsError naming the first rule that is broken.
 */
export function checkOverloadLimits(limits: OverloadLimits): void {
  for (const [key, name, max] of ranges) {
    const value = limits[key];
    if (!Number.isInteger(value) || value < 1 || value > max) {
      throw new OverloadLimitsError(`overload.${name} is ${value}, expected a whole number from 1 to ${max}`);
    }
  }
  for (const [limitKey, limitName, warningKey, warningName] of pairs) {
    if (limits[limitKey] < limits[warningKey]) {
      throw new OverloadLimitsError(
        `overload.${limitName} is ${limits[limitKey]}, below overload.${warningName} ${limits[warningKey]}: ` +
          'expected a limit not below its warning threshold',
      );
    }
  }
}

/** The warning threshold of a limit whose own is not given: 80 % of it, at least 1. */
function warningThresholdFor(limit: number): number {
  return Math.max(1, Math.floor(limit * 0.8));
}

/**
 * Limits from the AdminService message, where an unset number is 0: a warning threshold that is not given is 80 % of its
 * limit; every other number must be given.
 * @throws OverloadLimitsError
 */
export function limitsFromMessage(message: OverloadLimitsMessage): OverloadLimits {
  const limits: OverloadLimits = {
    ...limitsOf(message),
    connectionWarningThreshold: message.connectionWarningThreshold || warningThresholdFor(message.maxConnections),
    qpsWarningThreshold: message.qpsWarningThreshold || warningThresholdFor(message.maxQps),
    upstreamWarningThreshold: message.upstreamWarningThreshold || warningThresholdFor(message.maxUpstreamConcurrent),
  };
  checkOverloadLimits(limits);
  return limits;
}

/** The AdminService message for limits. */
export function limitsToMessage(limits: OverloadLimits): OverloadLimitsMessage {
  return limitsOf(limits);
}

/** Copies the limits out of whatever has them and more. */
export function limitsOf(source: OverloadLimits): OverloadLimits {
  return {
    enabled: source.enabled,
    maxConnections: source.maxConnections,
    connectionWarningThreshold: source.connectionWarningThreshold,
    maxQps: source.maxQps,
    qpsWarningThreshold: source.qpsWarningThreshold,
    qpsWindowSeconds: source.qpsWindowSeconds,
    maxUpstreamConcurrent: source.maxUpstreamConcurrent,
    upstreamTimeoutMs: source.upstreamTimeoutMs,
    upstreamWarningThreshold: source.upstreamWarningThreshold,
  };
}
