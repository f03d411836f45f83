import type { FleetMap as FleetMapMessage, SetFleetMapRequest, SetFleetMapResponse } from '../../proto/gen/admin.ts';
import { FleetMap } from '../fleet/fleet-map.ts';
import type { HandlerContext } from '../handlers/context.ts';
import { errorMessage } from '../lib/errors.ts';
import { errorOf, safeNumber } from '../protocol/codec.ts';
import { ErrorCode } from '../protocol/error-codes.ts';

/** Takes the operator's fleet map; a lower version changes nothing. The answer says which is in force. */
export function setFleetMap(context: HandlerContext, request: SetFleetMapRequest): SetFleetMapResponse {
  const { fleet } = context;
  const version = () => BigInt(fleet?.fleet.version ?? 0);
  try {
    if (fleet === undefined) throw new Error('fleet.pair_id is not set: this gateway is in no fleet');
    if (request.map === undefined) throw new Error('map: missing');
    if (fleet.fleet.setMap(readMap(request.map))) {
      context.log.info({ version: fleet.fleet.version, pairs: request.map.pairs.length }, 'fleet map taken');
    }
    return { success: true, error: undefined, version: version() };
  } catch (thrown) {
    const error = errorOf({ code: ErrorCode.ERROR_BAD_MESSAGE, message: errorMessage(thrown) });
    return { success: false, error, version: version() };
  }
}

function readMap({ version, pairs }: FleetMapMessage): FleetMap {
  const read = pairs.map(({ id, clientEndpoints, zoneEndpoints, weight, draining }) => ({
    id,
    clientEndpoints,
    zoneEndpoints,
    weight: weight === 0 ? 1 : weight,
    state: draining ? ('draining' as const) : ('active' as const),
  }));
  return new FleetMap(safeNumber(version) ?? 0, read);
}
