import type { SetZonesResponse, ZoneStatus } from '../../../proto/gen/admin.ts';
import { UsageError } from '../../lib/errors.ts';
import { exitCodes } from '../command-error.ts';
import { addressList, parseFlags, wholeNumber } from '../flags.ts';
import { formatJson, formatTable } from '../table.ts';
import { AdminConnection, checkSuccess, connectionFlags, connectionHelp } from './connection.ts';

const usage = `gatesvr admin zones: show or replace the zones

Usage: gatesvr admin zones [--set ID=ADDR,ADDR ...] [flags]

Flags:
  --set ID=ADDR,ADDR    a zone and its endpoints; repeated, and together the whole set: zones not named are taken away
  --revision N          of this set; a lower one than the gateway's is ignored. Default: the next
${connectionHelp}

Examples:
  gatesvr admin zones
  gatesvr admin zones --set 001=10.0.0.1:9001,10.0.0.2:9001 --set 002=10.0.0.3:9002
`;

const flags = {
  ...connectionFlags,
  set: { type: 'string', multiple: true },
  revision: { type: 'string' },
} as const;

/** `admin zones`. */
export async function zones(argv: readonly string[]): Promise<number> {
  const { values } = parseFlags(argv, flags);
  if (values.help) {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const wanted = (values.set ?? []).map(readZone);
  const given = values.revision === undefined ? undefined : BigInt(wholeNumber('revision', values.revision, 1));
  const connection = new AdminConnection(values);
  const status = await connection.anyStatus();
  if (wanted.length === 0) {
    process.stdout.write(connection.json ? formatJson(status.zones) : render(status.zones));
    return exitCodes.ok;
  }
  const request = { zones: wanted, revision: given ?? status.zonesRevision + 1n };
  const answer = await connection.admin<SetZonesResponse>((client, ...rest) => client.setZones(request, ...rest));
  checkSuccess(answer);
  process.stdout.write(connection.json ? formatJson(answer) : `zones at revision ${answer.revision}\n`);
  return exitCodes.ok;
}

function readZone(text: string): ZoneStatus {
  const [, zoneId, addresses] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (zoneId === undefined || addresses === undefined) throw new UsageError(`--set: ${text}: expected ID=HOST:PORT`);
  const endpoints = addressList('set', addresses).map((address) => ({ address, weight: 1, healthy: false }));
  return { zoneId, uid: '', generation: 0n, endpoints };
}

function render(found: readonly ZoneStatus[]): string {
  const rows = found.flatMap(({ zoneId, endpoints }) =>
    endpoints.length === 0
      ? [[zoneId, '-', '-', 'no endpoint']]
      : endpoints.map(({ address, weight, healthy }) => [zoneId, address, weight, healthy ? 'healthy' : 'not healthy']),
  );
  return formatTable(['ZONE', 'ENDPOINT', 'WEIGHT', 'HEALTH'], rows);
}
