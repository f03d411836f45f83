import type { OverloadLimits, SetOverloadLimitsResponse } from '../../../proto/gen/admin.ts';
import { UsageError } from '../../lib/errors.ts';
import { exitCodes } from '../command-error.ts';
import { duration, parseFlags, wholeNumber } from '../flags.ts';
import { formatJson, formatTable } from '../table.ts';
import { AdminConnection, checkSuccess, connectionFlags, connectionHelp } from './connection.ts';

const usage = `gatesvr admin limits: show or change the overload limits

Usage: gatesvr admin limits [flags]

Without a limit it shows them; with some it changes these, in the gateway that answers, until it restarts.

Flags:
  --enabled BOOL                      true or false
  --max-connections N                 --connection-warning-threshold N
  --max-qps N                         --qps-warning-threshold N          --qps-window-seconds N
  --max-upstream-concurrent N         --upstream-warning-threshold N     --upstream-timeout DURATION
${connectionHelp}

Examples:
  gatesvr admin limits
  gatesvr admin limits --max-qps 20000 --qps-warning-threshold 16000
`;

const numberFlags = {
  'max-connections': 'maxConnections',
  'connection-warning-threshold': 'connectionWarningThreshold',
  'max-qps': 'maxQps',
  'qps-warning-threshold': 'qpsWarningThreshold',
  'qps-window-seconds': 'qpsWindowSeconds',
  'max-upstream-concurrent': 'maxUpstreamConcurrent',
  'upstream-warning-threshold': 'upstreamWarningThreshold',
} as const;

const flags = {
  ...connectionFlags,
  enabled: { type: 'string' },
  'max-connections': { type: 'string' },
  'connection-warning-threshold': { type: 'string' },
  'max-qps': { type: 'string' },
  'qps-warning-threshold': { type: 'string' },
  'qps-window-seconds': { type: 'string' },
  'max-upstream-concurrent': { type: 'string' },
  'upstream-warning-threshold': { type: 'string' },
  'upstream-timeout': { type: 'string' },
} as const;

type Values = ReturnType<typeof parseFlags<typeof flags>>['values'];

const uint32Max = 2 ** 32 - 1;

/** `admin limits`. */
export async function limits(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, flags);
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const changes = changesOf(values);
  const connection = new AdminConnection(values);
  const current = (await connection.anyStatus()).limits;
  if (current === undefined) throw new Error('the gateway reports no limits');
  const shown = Object.keys(changes).length === 0 ? current : await change(connection, { ...current, ...changes });
  process.stdout.write(connection.json ? formatJson(shown) : render(shown));
  return exitCodes.ok;
}

function changesOf(values: Values): Partial<OverloadLimits> {
  const changes: Partial<OverloadLimits> = {};
  for (const [flag, key] of Object.entries(numberFlags)) {
    const text = values[flag as keyof typeof numberFlags];
    if (text !== undefined) changes[key] = wholeNumber(flag, text, 0, uint32Max);
  }
  const { enabled, 'upstream-timeout': timeout } = values;
  if (timeout !== undefined) changes.upstreamTimeoutMs = duration('upstream-timeout', timeout);
  if (enabled === undefined) return changes;
  if (enabled !== 'true' && enabled !== 'false') throw new UsageError(`--enabled: ${enabled}: expected true or false`);
  return { ...changes, enabled: enabled === 'true' };
}

async function change(connection: AdminConnection, wanted: OverloadLimits): Promise<OverloadLimits> {
  const answer = await connection.admin<SetOverloadLimitsResponse>((client, ...rest) =>
    client.setOverloadLimits({ limits: wanted }, ...rest),
  );
  checkSuccess(answer);
  return answer.limits ?? wanted;
}

function render(limits: OverloadLimits): string {
  const { qpsWindowSeconds, upstreamTimeoutMs } = limits;
  return `overload protection is ${limits.enabled ? 'on' : 'off'}\n${formatTable(
    ['WHAT', 'WARNING', 'LIMIT', 'NOTE'],
    [
      ['connections', limits.connectionWarningThreshold, limits.maxConnections, ''],
      ['requests a second', limits.qpsWarningThreshold, limits.maxQps, `mean of ${qpsWindowSeconds} s`],
      [
        'requests at zones',
        limits.upstreamWarningThreshold,
        limits.maxUpstreamConcurrent,
        `timeout ${upstreamTimeoutMs} ms`,
      ],
    ],
  )}`;
}
