import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Fleet } from './fleet/fleet.ts';
import type { FleetNode } from './fleet/fleet-node.ts';
import { followMapFile } from './fleet.ts';
import { silentLogger } from './lib/log.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'gatesvr-map-'));
  file = join(folder, 'map.yaml');
});

afterEach(() => rmSync(folder, { recursive: true }));

const write = (version: number) => {
  writeFileSync(file, `version: ${version}\npairs: [{ id: p0, client_endpoints: [c:1], zone_endpoints: [z:1] }]\n`);
};

describe('fleet.map_file', () => {
  it('is read at the start and when it changes; a bad or older one keeps the map in force', () => {
    const fleet = new Fleet({ pairId: 'p0', nowMs: () => 0 });
    write(3);
    const again = followMapFile(file, { fleet } as FleetNode, silentLogger);
    expect(fleet.version).toBe(3);
    write(4);
    again();
    expect(fleet.version).toBe(4);
    writeFileSync(file, 'version: 5\npairs: []\n');
    again();
    write(2);
    again();
    expect(fleet.version).toBe(4);
    rmSync(file);
    again();
    write(6);
    again();
    expect(fleet.version).toBe(6);
  });

  it('stops the start when it is wrong or missing', () => {
    const node = { fleet: new Fleet({ pairId: 'p0', nowMs: () => 0 }) } as FleetNode;
    expect(() => followMapFile(file, node, silentLogger)).toThrow(`fleet.map_file: ${file}: cannot be read`);
    writeFileSync(file, 'version: 1\npairs: []\n');
    expect(() => followMapFile(file, node, silentLogger)).toThrow(`fleet.map_file: ${file}: pairs: 0: expected`);
  });
});
