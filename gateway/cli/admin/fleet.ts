import { readFileSync } from 'node:fs';
import type { FleetPair, SetFleetMapResponse } from '../../../proto/gen/admin.ts';
import type { PresenceResponse } from '../../../proto/gen/upstream.ts';
import { type FleetMap, parseFleetMap } from '../../fleet/fleet-map.ts';
import { errorMessage, UsageError } from '../../lib/errors.ts';
import { exitCodes } from '../command-error.ts';
import { parseFlags } from '../flags.ts';
import { formatJson, formatTable } from '../table.ts';
import { AdminConnection, checkSuccess, connectionFlags, connectionHelp } from './connection.ts';

const fleetUsage = `gatesvr admin fleet: how many sessions each pair has, or hand out a fleet map

Usage: gatesvr admin fleet [--map FILE] [flags]

Flags:
  --map FILE            a fleet map (YAML or JSON), handed to the gateway named; a lower version than its own is ignored
${connectionHelp}

Examples:
  gatesvr admin fleet
  gatesvr admin fleet --map fleet-map.yaml --gateway gate-001:8092
`;

const presenceUsage = `gatesvr admin presence: who is online, and at which pair

Usage: gatesvr admin presence OPENID... [flags]

Flags:
${connectionHelp}

Examples:
  gatesvr admin presence alice bob
`;

/** `admin fleet`. */
export async function fleet(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, { ...connectionFlags, map: { type: 'string' } } as const);
  if (values.help) {
    process.stdout.write(fleetUsage);
    return exitCodes.ok;
  }
  const connection = new AdminConnection(values);
  if (values.map !== undefined) {
    const request = { map: messageOf(readMap(values.map)) };
    const answer = await connection.admin<SetFleetMapResponse>((client, ...rest) =>
      client.setFleetMap(request, ...rest),
    );
    checkSuccess(answer);
    process.stdout.write(connection.json ? formatJson(answer) : `fleet map version ${answer.version} is in force\n`);
    return exitCodes.ok;
  }
  const { fleetMapVersion } = await connection.anyStatus();
  const answer = await ask(connection, [], true);
  const rows = answer.pairs.map(({ pairId, reachable, sessions, connected }) => {
    return reachable ? [pairId || '-', sessions, connected] : [pairId, 'not reachable', ''];
  });
  const table = `fleet map version ${fleetMapVersion}\n${formatTable(['PAIR', 'SESSIONS', 'CONNECTED'], rows)}`;
  process.stdout.write(connection.json ? formatJson({ fleetMapVersion, pairs: answer.pairs }) : table);
  return exitCodes.ok;
}

/** `admin presence`. */
export async function presence(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseFlags(argv, connectionFlags, true);
  if (values.help) {
    process.stdout.write(presenceUsage);
    return exitCodes.ok;
  }
  if (positionals.length === 0) throw new UsageError('presence: expected one openid or more');
  const connection = new AdminConnection(values);
  const answer = await ask(connection, positionals, false);
  const rows = answer.users.map(({ openid, online, connected, pairId, sessionId }) => {
    const state = connected ? 'connected' : online ? 'waiting for its client' : 'offline';
    return [openid, state, pairId || '-', sessionId || '-'];
  });
  const warning = answer.complete ? '' : 'a pair could not be asked: who is offline here may be online there\n';
  const table = `${formatTable(['OPENID', 'STATE', 'PAIR', 'SESSION'], rows)}${warning}`;
  process.stdout.write(connection.json ? formatJson(answer) : table);
  return exitCodes.ok;
}

function ask(connection: AdminConnection, openids: readonly string[], counts: boolean): Promise<PresenceResponse> {
  const request = { openids: [...openids], counts };
  return connection.gateway<PresenceResponse>((client, ...rest) => client.presence(request, ...rest));
}

function readMap(path: string): FleetMap {
  try {
    return parseFleetMap(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`--map: ${path}: ${errorMessage(error)}`);
  }
}

function messageOf({ version, pairs }: FleetMap): { version: bigint; pairs: FleetPair[] } {
  const messages = pairs.map(({ id, clientEndpoints, zoneEndpoints, weight, state }) => ({
    id,
    clientEndpoints: [...clientEndpoints],
    zoneEndpoints: [...zoneEndpoints],
    weight,
    draining: state === 'draining',
  }));
  return { version: BigInt(version), pairs: messages };
}
