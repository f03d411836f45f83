import { parseAddress } from '../lib/address.ts';
import { ZoneOptionsError } from './errors.ts';
import type { ZoneServerOptions } from './zone-server.ts';

/** @throws ZoneOptionsError */
export function checkOptions(options: ZoneServerOptions): void {
  const { zoneId, address, advertiseAddress, gateways, weight = 1 } = options;
  if (!/^\d{3}$/.test(zoneId) || zoneId === '000') {
    throw new ZoneOptionsError(`zoneId: ${JSON.stringify(zoneId)}: expected 001 to 999`);
  }
  const listen = parseAddress(address);
  if (listen === undefined) throw new ZoneOptionsError(`address: ${JSON.stringify(address)}: expected host:port`);
  const everywhere = listen.host === '' || listen.host === '0.0.0.0' || listen.host === '::';
  if (everywhere && advertiseAddress === undefined) {
    throw new ZoneOptionsError(`advertiseAddress: expected host:port, because ${address} names no host`);
  }
  for (const gateway of gateways) {
    if (parseAddress(gateway) === undefined) {
      throw new ZoneOptionsError(`gateways: ${JSON.stringify(gateway)}: expected host:port`);
    }
  }
  if (!Number.isInteger(weight) || weight < 1 || weight > 1_000) {
    throw new ZoneOptionsError(`weight: ${weight}: expected 1 to 1000`);
  }
}
