import type {
  DemoteResponse,
  DrainResponse,
  GatewayStatus,
  PromoteResponse,
  ShardStatus,
} from '../../../proto/gen/admin.ts';
import { UsageError } from '../../lib/errors.ts';
import { exitCodes } from '../command-error.ts';
import { duration, parseFlags, wholeNumber } from '../flags.ts';
import { formatJson } from '../table.ts';
import { AdminConnection, checkSuccess, connectionFlags, connectionHelp } from './connection.ts';

const drainUsage = `gatesvr admin drain: send clients away, so that the gateway can be stopped

Usage: gatesvr admin drain [flags]

Flags:
  --deadline DURATION   how long clients may take; default 30s
  --rate N              clients told a second; default 0, all at once
${connectionHelp}

Examples:
  gatesvr admin drain --gateway gw-a:8092 --deadline 2m --rate 200
`;

const promoteUsage = `gatesvr admin promote: tell a gateway that it is primary (a hint: the arbiter decides)

Usage: gatesvr admin promote [flags]

Flags:
  --shard ID            default: the gateway's only shard
  --epoch N             default: the epoch it reports
  --incarnation ID      default: the incarnation it reports
${connectionHelp}

Examples:
  gatesvr admin promote --gateway gw-b:8092
`;

const demoteUsage = `gatesvr admin demote: hand a shard to another gateway without losing anything

Usage: gatesvr admin demote --successor INCARNATION [flags]

Flags:
  --successor ID        the incarnation that takes over; default: the only other in-sync one
  --shard ID            default: the gateway's only shard
  --epoch N             default: the epoch it reports
  --deadline DURATION   by when; default 10s
${connectionHelp}

Examples:
  gatesvr admin demote --gateway gw-a:8092
`;

const drainFlags = {
  ...connectionFlags,
  deadline: { type: 'string', default: '30s' },
  rate: { type: 'string', default: '0' },
} as const;

const promoteFlags = {
  ...connectionFlags,
  shard: { type: 'string' },
  epoch: { type: 'string' },
  incarnation: { type: 'string' },
} as const;

const demoteFlags = {
  ...connectionFlags,
  shard: { type: 'string' },
  epoch: { type: 'string' },
  successor: { type: 'string' },
  deadline: { type: 'string', default: '10s' },
} as const;

/** `admin drain`. */
export async function drain(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, drainFlags);
  if (values.help) {
    process.stdout.write(drainUsage);
    return exitCodes.ok;
  }
  const connection = new AdminConnection(values);
  const request = {
    deadlineMs: duration('deadline', values.deadline),
    sessionsPerSecond: wholeNumber('rate', values.rate),
  };
  const answer = await connection.admin<DrainResponse>((client, ...rest) => client.drain(request, ...rest));
  process.stdout.write(connection.json ? formatJson(answer) : `draining, ${answer.sessionsLeft} sessions left\n`);
  return exitCodes.ok;
}

function shardOf(status: GatewayStatus, wanted: string | undefined): ShardStatus {
  const ids = status.shards.map(({ shardId }) => shardId);
  const shard =
    wanted === undefined && ids.length === 1
      ? status.shards[0]
      : status.shards.find(({ shardId }) => shardId === wanted);
  if (shard === undefined) throw new UsageError(`--shard: ${wanted ?? 'missing'}: expected one of ${ids.join(', ')}`);
  return shard;
}

function epochOf(given: string | undefined, shard: ShardStatus): bigint {
  return given === undefined ? shard.epoch : BigInt(wholeNumber('epoch', given));
}

/** `admin promote`. */
export async function promote(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, promoteFlags);
  if (values.help) {
    process.stdout.write(promoteUsage);
    return exitCodes.ok;
  }
  const connection = new AdminConnection(values);
  const status = await connection.anyStatus();
  const shard = shardOf(status, values.shard);
  const epoch = epochOf(values.epoch, shard);
  const request = { shardId: shard.shardId, epoch, incarnation: values.incarnation ?? status.incarnation };
  const answer = await connection.admin<PromoteResponse>((client, ...rest) => client.promote(request, ...rest));
  checkSuccess(answer);
  process.stdout.write(connection.json ? formatJson(answer) : `primary of ${shard.shardId} at epoch ${answer.epoch}\n`);
  return exitCodes.ok;
}

/** `admin demote`. */
export async function demote(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, demoteFlags);
  if (values.help) {
    process.stdout.write(demoteUsage);
    return exitCodes.ok;
  }
  const connection = new AdminConnection(values);
  const status = await connection.anyStatus();
  const shard = shardOf(status, values.shard);
  const others = shard.inSync.filter((incarnation) => incarnation !== status.incarnation);
  const successor = values.successor ?? (others.length === 1 ? others[0] : undefined);
  if (successor === undefined) {
    throw new UsageError(
      `--successor: missing: expected one of ${others.join(', ') || '(no other gateway is in sync)'}`,
    );
  }
  const deadlineMs = duration('deadline', values.deadline);
  const request = { shardId: shard.shardId, epoch: epochOf(values.epoch, shard), successor, deadlineMs };
  const answer = await connection.admin<DemoteResponse>((client, ...rest) => client.demote(request, ...rest));
  checkSuccess(answer);
  process.stdout.write(connection.json ? formatJson(answer) : `${successor} is primary at epoch ${answer.epoch}\n`);
  return exitCodes.ok;
}
