import type { ByteReader } from '../lib/byte-reader.ts';
import type { ByteWriter } from '../lib/byte-writer.ts';
import type { SetZonesCommand } from './command.ts';

export function writeZones(writer: ByteWriter, command: SetZonesCommand): void {
  writer.uint(command.revision);
  writer.list(command.zones, ({ zoneId, uid, generation, endpoints }) => {
    writer.text(zoneId);
    writer.text(uid);
    writer.uint(generation);
    writer.list(endpoints, ({ address, weight }) => {
      writer.text(address);
      writer.uint(weight);
    });
  });
}

export function readZones(reader: ByteReader): SetZonesCommand {
  const revision = reader.uint();
  const zones = reader.list(() => ({
    zoneId: reader.text(),
    uid: reader.text(),
    generation: reader.uint(),
    endpoints: reader.list(() => ({ address: reader.text(), weight: reader.uint() })),
  }));
  return { kind: 'set-zones', revision, zones };
}
