import type { GatewayStatus } from '../../../proto/gen/admin.ts';
import { exitCodes } from '../command-error.ts';
import { parseFlags } from '../flags.ts';
import { formatJson, formatTable } from '../table.ts';
import { AdminConnection, connectionFlags, connectionHelp } from './connection.ts';

const usage = `gatesvr admin status: role, readiness, sessions, shards of each gateway given

Usage: gatesvr admin status [flags]

Flags:
${connectionHelp}

Examples:
  gatesvr admin status
  gatesvr admin status --gateway gw-a:8092,gw-b:8092 --json
`;

/** `admin status`: all gateways given; one that does not answer is said, and is the exit code if none does better. */
export async function status(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, connectionFlags);
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const connection = new AdminConnection(values);
  const answers = await Promise.allSettled(connection.addresses.map((address) => connection.status(address)));
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const failures = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []));
  if (found.length === 0) throw failures[0];
  for (const failure of failures) process.stderr.write(`gatesvr: ${failure.message}\n`);
  process.stdout.write(connection.json ? found.map(formatJson).join('') : render(found));
  return exitCodes.ok;
}

function render(statuses: readonly GatewayStatus[]): string {
  const gateways = statuses.map((status) => [
    status.serverId,
    status.version,
    status.draining ? 'draining' : status.ready ? 'ready' : 'not ready',
    status.overloadState,
    status.connections,
    status.sessions,
    `${status.zones.length} at revision ${status.zonesRevision}`,
  ]);
  const shards = statuses.flatMap((status) =>
    status.shards.map((shard) => [
      status.serverId,
      shard.shardId,
      shard.role,
      shard.epoch,
      shard.logIndex,
      shard.commitIndex,
      shard.inSync.length,
      shard.peerHeartbeatLost ? 'lost' : 'ok',
    ]),
  );
  const header = ['SERVER', 'SHARD', 'ROLE', 'EPOCH', 'LOG', 'COMMIT', 'IN SYNC', 'PEER'];
  return `${formatTable(['SERVER', 'VERSION', 'STATE', 'OVERLOAD', 'CONNECTIONS', 'SESSIONS', 'ZONES'], gateways)}\n${formatTable(header, shards)}`;
}
