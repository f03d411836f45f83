import { randomUUID } from 'node:crypto';
import {
  type BroadcastPushResponse,
  PushLevel,
  PushOrder,
  PushStatus,
  type UnicastPushResponse,
} from '../../../proto/gen/upstream.ts';
import { UsageError } from '../../lib/errors.ts';
import { errorCodeName } from '../../protocol/error-codes.ts';
import { CommandError, exitCodes } from '../command-error.ts';
import { duration, headersOf, parseFlags, required } from '../flags.ts';
import { formatJson } from '../table.ts';
import { AdminConnection, connectionFlags, connectionHelp } from './connection.ts';

const commonHelp = `  --data TEXT           the push's data
  --header NAME=VALUE   a header; may be repeated
  --level LEVEL         wait until it is queued, committed or acked; default committed
  --ttl DURATION        how long it may wait for its client; default: until the session ends
  --push-id ID          a push with the same id is done once; default: a new one
${connectionHelp}`;

const pushUsage = `gatesvr admin push: push to one user

Usage: gatesvr admin push --openid ID --data TEXT [flags]

Flags:
  --openid ID           to whom
${commonHelp}

Examples:
  gatesvr admin push --openid alice --data "hello"
  gatesvr admin push --openid alice --data "hello" --level acked --ttl 30s --timeout 30s
`;

const broadcastUsage = `gatesvr admin broadcast: push to many

Usage: gatesvr admin broadcast --data TEXT [flags]

Flags:
  --zones ID,ID         only sessions of these zones; default: all
  --openids ID,ID       only these users; default: all
${commonHelp}

Examples:
  gatesvr admin broadcast --data "maintenance at noon"
  gatesvr admin broadcast --zones 001,002 --data "maintenance at noon" --ttl 5m
`;

const commonFlags = {
  ...connectionFlags,
  data: { type: 'string' },
  header: { type: 'string', multiple: true },
  level: { type: 'string', default: 'committed' },
  ttl: { type: 'string' },
  'push-id': { type: 'string' },
} as const;

const levels: Readonly<Record<string, PushLevel>> = {
  queued: PushLevel.PUSH_LEVEL_QUEUED,
  committed: PushLevel.PUSH_LEVEL_COMMITTED,
  acked: PushLevel.PUSH_LEVEL_ACKED,
};

type CommonValues = ReturnType<typeof parseFlags<typeof commonFlags>>['values'];

function commonFields(values: CommonValues) {
  const level = levels[values.level];
  if (level === undefined) throw new UsageError(`--level: ${values.level}: expected ${Object.keys(levels).join(', ')}`);
  return {
    pushId: values['push-id'] ?? randomUUID(),
    data: Buffer.from(required('data', values.data, 'what to push')),
    headers: headersOf(values.header),
    level,
    ttlMs: values.ttl === undefined ? 0 : duration('ttl', values.ttl),
  };
}

/** `admin push`. */
export async function push(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, { ...commonFlags, openid: { type: 'string' } });
  if (values.help) {
    process.stdout.write(pushUsage);
    return exitCodes.ok;
  }
  const openid = required('openid', values.openid, 'to whom');
  const bound = { sessionId: '', bindClientSeqId: 0n, order: PushOrder.PUSH_ORDER_IMMEDIATE };
  const request = { ...commonFields(values), ...bound, openid };
  const connection = new AdminConnection(values);
  const answer = await connection.gateway<UnicastPushResponse>((client, ...rest) =>
    client.unicastPush(request, ...rest),
  );
  checkStatus(answer);
  const text = `${levelName(answer.level)} as ${answer.seqId}\n`;
  process.stdout.write(connection.json ? formatJson(named(answer)) : text);
  return exitCodes.ok;
}

/** `admin broadcast`. */
export async function broadcast(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, { ...commonFlags, zones: { type: 'string' }, openids: { type: 'string' } });
  if (values.help) {
    process.stdout.write(broadcastUsage);
    return exitCodes.ok;
  }
  const request = { ...commonFields(values), zoneIds: listOf(values.zones), openids: listOf(values.openids) };
  const connection = new AdminConnection(values);
  const answer = await connection.gateway<BroadcastPushResponse>((client, ...rest) =>
    client.broadcastPush(request, ...rest),
  );
  checkStatus(answer);
  const text = `${levelName(answer.level)}, ${answer.accepted} of ${answer.matched} sessions\n`;
  process.stdout.write(connection.json ? formatJson(named(answer)) : text);
  return exitCodes.ok;
}

function listOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(',').map((item) => item.trim());
}

function nameIn(values: Readonly<Record<string, number>>, value: number, prefix: string): string {
  const found = Object.entries(values).find(([, candidate]) => candidate === value);
  return found === undefined ? String(value) : found[0].slice(prefix.length);
}

const levelName = (level: PushLevel): string => nameIn(PushLevel, level, 'PUSH_LEVEL_');
const statusName = (status: PushStatus): string => nameIn(PushStatus, status, 'PUSH_STATUS_');

function named<T extends { level: PushLevel; status: PushStatus }>(answer: T) {
  return { ...answer, level: levelName(answer.level), status: statusName(answer.status) };
}

function checkStatus({ status, error }: UnicastPushResponse | BroadcastPushResponse): void {
  if (status === PushStatus.PUSH_STATUS_OK) return;
  const why = error === undefined ? '' : `: ${errorCodeName(error.code)}: ${error.message}`;
  throw new CommandError(exitCodes.refused, `${statusName(status)}${why}`);
}
