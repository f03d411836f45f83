import type {
  KickSessionResponse,
  ListSessionsRequest,
  ListSessionsResponse,
  SessionInfo,
} from '../../../proto/gen/admin.ts';
import { UsageError } from '../../lib/errors.ts';
import { exitCodes } from '../command-error.ts';
import { parseFlags, wholeNumber } from '../flags.ts';
import { formatJson, formatTable } from '../table.ts';
import { AdminConnection, checkSuccess, connectionFlags, connectionHelp } from './connection.ts';

const sessionsUsage = `gatesvr admin sessions: list sessions

Usage: gatesvr admin sessions [flags]

Flags:
  --openid ID           only this user's
  --zone ID             only this zone's
  --limit N             at most so many; default 100
${connectionHelp}

Examples:
  gatesvr admin sessions --openid alice
  gatesvr admin sessions --zone 003 --limit 100000 --json
`;

const kickUsage = `gatesvr admin kick: end a session; its client is told KICKED and does not come back by itself

Usage: gatesvr admin kick --openid ID | --session-id ID [flags]

Flags:
  --openid ID           the user
  --session-id ID       or the session
  --reason TEXT         what the client is told
${connectionHelp}

Examples:
  gatesvr admin kick --openid alice --reason "signed in elsewhere"
`;

const pageSize = 1_000;

const sessionsFlags = {
  ...connectionFlags,
  openid: { type: 'string', default: '' },
  zone: { type: 'string', default: '' },
  limit: { type: 'string', default: '100' },
} as const;

const kickFlags = {
  ...connectionFlags,
  openid: { type: 'string', default: '' },
  'session-id': { type: 'string', default: '' },
  reason: { type: 'string', default: '' },
} as const;

/** `admin sessions`. */
export async function sessions(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, sessionsFlags);
  if (values.help) {
    process.stdout.write(sessionsUsage);
    return exitCodes.ok;
  }
  const connection = new AdminConnection(values);
  const limit = wholeNumber('limit', values.limit, 1);
  const found = await list(connection, values.openid, values.zone, limit);
  process.stdout.write(connection.json ? found.map(formatJson).join('') : render(found));
  return exitCodes.ok;
}

async function list(
  connection: AdminConnection,
  openid: string,
  zoneId: string,
  limit: number,
): Promise<SessionInfo[]> {
  const found: SessionInfo[] = [];
  let pageToken = '';
  do {
    const request: ListSessionsRequest = {
      openid,
      zoneId,
      pageSize: Math.min(pageSize, limit - found.length),
      pageToken,
    };
    const page = await connection.admin<ListSessionsResponse>((client, ...rest) =>
      client.listSessions(request, ...rest),
    );
    found.push(...page.sessions);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && found.length < limit);
  return found;
}

function render(found: readonly SessionInfo[]): string {
  const header = [
    'OPENID',
    'SESSION',
    'STATE',
    'ZONE',
    'CONNECTED',
    'ADDRESS',
    'CREATED',
    'NEXT SEQ',
    'ACKED',
    'QUEUE',
    'BYTES',
  ];
  const rows = found.map((session) => [
    session.openid,
    session.sessionId,
    session.state,
    session.zoneId || '-',
    session.connected ? 'yes' : 'no',
    session.userIp,
    new Date(Number(session.createTimeMs)).toISOString(),
    session.nextSeqId,
    session.ackUpTo,
    session.queueMessages,
    session.queueBytes,
  ]);
  return formatTable(header, rows);
}

/** `admin kick`. */
export async function kick(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, kickFlags);
  if (values.help) {
    process.stdout.write(kickUsage);
    return exitCodes.ok;
  }
  if (values.openid === '' && values['session-id'] === '')
    throw new UsageError('--openid or --session-id: expected one');
  const connection = new AdminConnection(values);
  const request = { openid: values.openid, sessionId: values['session-id'], reason: values.reason };
  const answer = await connection.admin<KickSessionResponse>((client, ...rest) => client.kickSession(request, ...rest));
  checkSuccess(answer);
  process.stdout.write(connection.json ? formatJson({ success: true }) : 'kicked\n');
  return exitCodes.ok;
}
