import { randomUUID } from 'node:crypto';
import { type BroadcastPushResponse, type GroupMembersResponse, PushStatus } from '../../../proto/gen/upstream.ts';
import { UsageError } from '../../lib/errors.ts';
import { CommandError, exitCodes } from '../command-error.ts';
import { parseFlags } from '../flags.ts';
import { formatJson } from '../table.ts';
import { AdminConnection, checkSuccess, connectionFlags, connectionHelp } from './connection.ts';

const usage = `gatesvr admin group: put users into a group, take them out, push to it

Usage: gatesvr admin group NAME (--join OPENID,... | --leave OPENID,... | --data TEXT) [flags]

Flags:
  --join OPENID,...     these users' sessions join; a session that ends leaves its groups
  --leave OPENID,...    these users' sessions leave
  --data TEXT           pushed to all sessions of the group
${connectionHelp}

Examples:
  gatesvr admin group room-7 --join alice,bob
  gatesvr admin group room-7 --data "the match begins"
`;

const flags = {
  ...connectionFlags,
  join: { type: 'string' },
  leave: { type: 'string' },
  data: { type: 'string' },
} as const;

/** `admin group`. */
export async function group(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags(argv, flags, true);
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const [name, ...more] = positionals;
  const { join, leave, data } = values;
  const wanted = [join, leave, data].filter((value) => value !== undefined).length;
  if (name === undefined || more.length > 0) throw new UsageError('group: expected the name of one group');
  if (wanted !== 1) throw new UsageError('group: expected one of --join, --leave and --data');
  const connection = new AdminConnection(values);
  if (data !== undefined) return pushTo(connection, name, data);
  const openids = (join ?? leave ?? '').split(',').filter((openid) => openid !== '');
  const request = { group: name, openids, sessionIds: [] };
  const answer = await connection.gateway<GroupMembersResponse>((client, ...rest) =>
    join === undefined ? client.leaveGroup(request, ...rest) : client.joinGroup(request, ...rest),
  );
  checkSuccess(answer);
  const missing = answer.missing.length === 0 ? '' : `, without a session: ${answer.missing.join(', ')}`;
  process.stdout.write(connection.json ? formatJson(answer) : `${answer.changed} changed${missing}\n`);
  return exitCodes.ok;
}

async function pushTo(connection: AdminConnection, name: string, data: string): Promise<number> {
  const request = {
    pushId: randomUUID(),
    group: name,
    data: Buffer.from(data),
    headers: {},
    level: 0 as const,
    ttlMs: 0,
  };
  const answer = await connection.gateway<BroadcastPushResponse>((client, ...rest) =>
    client.groupPush(request, ...rest),
  );
  if (answer.status !== PushStatus.PUSH_STATUS_OK) {
    throw new CommandError(exitCodes.refused, `group ${name}: not taken everywhere: status ${answer.status}`);
  }
  const text = `${answer.accepted} of ${answer.matched} sessions\n`;
  process.stdout.write(connection.json ? formatJson(answer) : text);
  return exitCodes.ok;
}
