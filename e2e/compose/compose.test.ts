import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { HmacAuthenticator } from '../../gateway/auth/hmac.ts';
import { parseSecrets } from '../../gateway/auth/secrets.ts';
import { loadConfig } from '../../gateway/config.ts';
import { parseFleetMap } from '../../gateway/fleet/fleet-map.ts';
import { type ComposeService, readCompose, repositoryText } from './compose-file.ts';

const { services, volumes } = readCompose('e2e');
const named = Object.entries(services);
const gateways = named.filter(([, { command }]) => command?.[0] === 'gateway');
const zones = named.filter(([, { command }]) => command?.[0] === 'upstream');
const root = new URL('../../', import.meta.url).pathname;
let secrets: string;

beforeAll(() => {
  secrets = mkdtempSync(join(tmpdir(), 'gatesvr-compose-'));
  execFileSync(process.execPath, [join(root, 'tools/compose-secrets.ts'), secrets]);
});

afterAll(() => rmSync(secrets, { recursive: true }));

/** The configuration that a gateway of the file runs with. */
function configOf(service: ComposeService) {
  const [, ...argv] = service.command ?? [];
  const readFile = (path: string) => repositoryText(path.replace(/^\/etc\/gatesvr\//, 'deploy/compose/'));
  return loadConfig({ argv, env: {}, readFile }).config;
}

function dependencies({ depends_on: on = [] }: ComposeService): string[] {
  return Array.isArray(on) ? [...on] : Object.keys(on);
}

describe('docker-compose.yaml', () => {
  it('has a pair, six zones, and what stands around them', () => {
    expect(gateways.map(([name]) => name)).toEqual(['gateway-a', 'gateway-b']);
    expect(zones.map(([name]) => name)).toEqual([1, 2, 3, 4, 5, 6].map((zone) => `zone-00${zone}`));
    expect(Object.keys(services)).toEqual(expect.arrayContaining(['redis', 'prometheus', 'haproxy', 'nginx']));
  });

  it('publishes each port of the host once', () => {
    const published = named.flatMap(([, { ports = [] }]) => ports).map((port) => port.replace(/:\d+/, ''));
    expect(new Set(published).size).toBe(published.length);
    expect(published).toEqual(expect.arrayContaining(['8453/udp', '8080', '8092']));
  });

  it.each(named)('%s has an image with a tag, and mounts and needs what is there', (_, service) => {
    expect(service.image).toMatch(/^(gatesvr\/gateway:e2e|docker\.io\/[a-z]+\/[a-z]+:[a-z0-9.-]+)$/);
    for (const name of dependencies(service)) expect(Object.keys(services)).toContain(name);
    for (const mount of service.volumes ?? []) {
      const [source = ''] = mount.split(':');
      if (source.startsWith('./')) expect(existsSync(join(root, source)), mount).toBe(true);
      else expect(Object.keys(volumes)).toContain(source);
    }
  });

  it('starts its program by the path that the image has', () => {
    const [, entrypoint] = /^ENTRYPOINT (\[.*\])$/m.exec(repositoryText('Dockerfile.gateway')) ?? [];
    const client = services['client']?.entrypoint ?? [];
    expect(client.slice(0, 2)).toEqual(JSON.parse(entrypoint ?? '[]'));
  });
});

describe('the gateways', () => {
  it.each(gateways)('%s has a valid configuration whose files are written', (_, service) => {
    const { server, auth, backup } = configOf(service);
    const files = [server.certFile, server.keyFile, server.caFile, auth.hmacSecretFile, backup.secretFile];
    for (const file of files) {
      expect(file).toMatch(/^\/secrets\//);
      expect(existsSync(join(secrets, String(file).replace('/secrets/', ''))), String(file)).toBe(true);
    }
  });

  it('find their pair in the fleet map, and Redis by its service', () => {
    const map = parseFleetMap(repositoryText('deploy/compose/fleet.yaml'));
    for (const [, service] of gateways) {
      const { fleet, directory } = configOf(service);
      expect(fleet.mapFile).toBe('/etc/gatesvr/fleet.yaml');
      expect(map.pair(fleet.pairId ?? '')?.zoneEndpoints).toEqual(gateways.map(([name]) => `${name}:8092`));
      for (const address of directory.redis.addrs) expect(Object.keys(services)).toContain(address.split(':')[0]);
    }
  });

  it('are each other’s peer', () => {
    const [first, second] = gateways.map(([, service]) => configOf(service).backup);
    expect([first?.mode, second?.mode]).toEqual(['primary', 'backup']);
    expect([first?.heartbeat.peerAddr, first?.sync.peerAddr]).toEqual(['gateway-b:8093', 'gateway-b:8094']);
    expect([second?.heartbeat.peerAddr, second?.sync.peerAddr]).toEqual(['gateway-a:8093', 'gateway-a:8094']);
  });
});

describe('the zones', () => {
  it('use flags that the command has, and register under their own name at both gateways', () => {
    const cli = join(root, 'gateway/cli/gatesvr.ts');
    const help = execFileSync(process.execPath, [cli, 'upstream', '--help'], { encoding: 'utf8' });
    for (const [name, { command = [] }] of zones) {
      const flags = new Map(command.slice(1).map((flag) => flag.split('=') as [string, string]));
      for (const flag of flags.keys()) expect(help).toContain(`  ${flag} `);
      expect(`zone-${flags.get('--zone')}`).toBe(name);
      expect(flags.get('--advertise')).toBe(`${name}:9001`);
      expect(flags.get('--gateway')).toBe(gateways.map(([gateway]) => `${gateway}:8092`).join(','));
      for (const flag of ['--ca', '--cert', '--key']) {
        expect(existsSync(join(secrets, flags.get(flag)?.replace('/secrets/', '') ?? '-'))).toBe(true);
      }
    }
  });
});

describe('what stands around them', () => {
  const both = gateways.map(([name]) => name);

  it('HAProxy asks both for /primary, and leads 8092 and 8080 to the one that has it', () => {
    const text = repositoryText('deploy/compose/haproxy.cfg');
    expect(text).toContain('option httpchk GET /primary');
    for (const port of [8092, 8080]) {
      expect(text).toContain(`bind :${port}`);
      for (const name of both) expect(text).toContain(`server ${name} ${name}:${port}`);
    }
  });

  it('nginx leads QUIC to one of both', () => {
    const text = repositoryText('deploy/compose/nginx.conf');
    expect(text).toContain('listen 8453 udp');
    for (const name of both) expect(text).toContain(`server ${name}:8453`);
  });

  it('Prometheus reads both', () => {
    const { scrape_configs: jobs } = parse(repositoryText('deploy/compose/prometheus.yml'));
    expect(jobs[0].static_configs[0].targets).toEqual(both.map((name) => `${name}:9090`));
  });
});

describe('the secrets', () => {
  const read = (name: string): Buffer => readFileSync(join(secrets, name));

  it('are written once', () => {
    const before = read('ca.crt');
    const output = execFileSync(process.execPath, [join(root, 'tools/compose-secrets.ts'), secrets], {
      encoding: 'utf8',
    });
    expect(output).toContain('written before');
    expect(read('ca.crt')).toEqual(before);
  });

  it('let alice in', () => {
    const authenticator = new HmacAuthenticator(parseSecrets(read('login.key'), 'login.key'), 0);
    const authToken = read('alice.token').toString().trim();
    const request = { openid: 'alice', authToken } as Parameters<HmacAuthenticator['authenticate']>[1];
    expect(authenticator.authenticate(Date.now(), request)).toMatchObject({ ok: true });
  });
});
