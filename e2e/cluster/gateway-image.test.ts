import { describe, expect, it } from 'vitest';
import { zoneOf } from '../../gateway/upstream/zone.ts';
import { poll, progress } from './cluster.ts';
import { gatewayImage } from './images.ts';
import {
  caFile,
  clientPod,
  drainTimeoutMs,
  exampleZone,
  gatewayPod,
  gatewayService,
  loginKeyFile,
  makeCredentials,
} from './lib/gateway-pods.ts';
import { PodCommand } from './lib/kubectl.ts';
import { restrictedPod } from './lib/pods.ts';
import { describeInNamespace } from './lib/suite.ts';

const zonesOfDefault = 6;
const program = '/app/dist/gateway/cli/gatesvr.js';
const startsMeasured = 5;

function userOf(zone: string): string {
  const candidates = Array.from({ length: 100 }, (_, number) => `user-${number}`);
  return candidates.find((openid) => zoneOf(openid, zonesOfDefault) === zone) ?? '';
}

/** Starts a gateway inside a pod, several times, and prints how many milliseconds each took to be ready. */
const startTimes = `
  const { spawn } = require('node:child_process');
  const local = (port) => '127.0.0.1:' + port;
  const flags = ['--dev', '--quic-addr=' + local(1853), '--http-addr=' + local(1880), '--grpc-addr=' + local(1892),
    '--metrics-addr=' + local(1890)];
  const once = async () => {
    const startedMs = performance.now();
    const child = spawn(process.execPath, ['${program}', 'gateway', ...flags], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    for (;;) {
      const answer = await fetch('http://' + local(1880) + '/ready').catch(() => undefined);
      if (answer?.ok) break;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    console.log(Math.round(performance.now() - startedMs));
    child.kill('SIGKILL');
    await ended;
  };
  (async () => { for (let each = 0; each < ${startsMeasured}; each += 1) await once(); })();
`;

/** Says on a line each what a gateway's probes answer, whenever that changes. */
const watchProbes = (address: string) => `
  const get = (path) => fetch('http://${address}:8080' + path, { signal: AbortSignal.timeout(2000) });
  let last = '';
  setInterval(async () => {
    try {
      const [health, ready] = await Promise.all(['/health', '/ready'].map(get));
      const said = 'health ' + health.status + ', ready ' + ready.status + ' ' + (await ready.text()).trim();
      if (said !== last) console.log(said);
      last = said;
    } catch {}
  }, 50);
`;

interface NodeImages {
  readonly items: readonly { status: { images: readonly { names?: readonly string[]; sizeBytes: number }[] } }[];
}

interface Pod {
  readonly status: {
    readonly phase: string;
    readonly podIP: string;
    readonly containerStatuses: readonly { state: { terminated?: { exitCode: number } } }[];
  };
}

describe('the image of the gateway', () => {
  const suite = describeInNamespace('image', async ({ namespace }) => {
    await namespace.apply(
      await makeCredentials(),
      gatewayService,
      gatewayPod('gateway-1'),
      ...exampleZone('001'),
      clientPod('client'),
    );
    await namespace.kubectl(['wait', '--for=condition=Ready', 'pod', '--all', '--timeout=120s']);
  });
  const pod = (name: string) => suite.namespace.get<Pod>('pod', name);
  /** @returns status and body, separated by a blank */
  const get = async (name: string, path: string): Promise<string> => {
    const url = `http://${(await pod(name)).status.podIP}:8080${path}`;
    const script = `fetch('${url}').then(async (answer) => console.log(answer.status, await answer.text()))`;
    return suite.namespace.exec('client', 'node', '-e', script);
  };
  const clientCommand = async (openid: string, ...rest: string[]): Promise<string[]> => {
    const made = ['admin', 'token', `--openid=${openid}`, `--secret-file=${loginKeyFile}`];
    const token = (await suite.namespace.gatesvr('client', ...made)).trim();
    const flags = [`--addr=gateway:8453`, `--ca=${caFile}`, `--openid=${openid}`, `--token=${token}`];
    return ['node', program, 'client', ...flags, ...rest];
  };
  /** Zones may still be registering. */
  const eventually = async (command: readonly string[]): Promise<string> => {
    let said = '';
    await poll(command.slice(-2).join(' '), 60_000, async () => {
      said = await suite.namespace.exec('client', ...command).catch(() => '');
      return said !== '';
    });
    return said;
  };

  it('runs where the restricted level is enforced, which refuses a pod with a right too many', async () => {
    const pods = restrictedPod('greedy', [{ securityContext: { privileged: true } } as object]);
    await expect(suite.namespace.apply(pods)).rejects.toThrow('violates PodSecurity "restricted');
    expect((await pod('gateway-1')).status.phase).toBe('Running');
    expect(await suite.namespace.exec('gateway-1', 'node', '-p', 'process.getuid()')).toBe('65532\n');
  });

  it('does the main job for a client in another pod, over a ClusterIP Service for UDP', async () => {
    const command = await clientCommand(userOf('001'), '--action=echo', '--data=hi');
    expect(await eventually(command)).toBe('hi\n');
    const pushes = new PodCommand(
      suite.namespace,
      'client',
      await clientCommand(userOf('001'), '--action=push-me', '--data=20', '--watch'),
    );
    await pushes.says('push 20', 30_000);
    await pushes.stop();
    expect(pushes.lines).toEqual(['ok', ...Array.from({ length: 20 }, (_, index) => `push ${index + 1}`)]);
  });

  it('answers its probes', async () => {
    expect(await get('gateway-1', '/health')).toMatch(/^200 .*"role":"primary"/);
    expect(await get('gateway-1', '/ready')).toMatch(/^200 /);
    expect(await get('gateway-1', '/primary')).toMatch(/^200 /);
    expect(await get('gateway-1', '/nothing')).toMatch(/^404 /);
  });

  it('is ready soon, and small', async () => {
    const said = await suite.namespace.exec('client', 'node', '-e', startTimes);
    const times = said
      .trim()
      .split('\n')
      .map(Number)
      .sort((a, b) => a - b);
    const median = times[Math.floor(times.length / 2)] ?? Number.POSITIVE_INFINITY;
    const nodes = await suite.namespace.get<NodeImages>('nodes');
    const images = nodes.items.flatMap(({ status }) => status.images);
    const image = images.find(({ names = [] }) => names.some((name) => name.endsWith(gatewayImage)));
    progress(
      `${gatewayImage}: ${Math.round((image?.sizeBytes ?? 0) / 1e6)} MB, ready after ${median} ms (${times.join(', ')})`,
    );
    expect(times).toHaveLength(startsMeasured);
    expect(image?.sizeBytes).toBeGreaterThan(0);
  });

  it('drains at SIGTERM: alive but not ready, clients are told to go, it ends well; the Service leads to the next', async () => {
    const { namespace } = suite;
    const connected = new PodCommand(namespace, 'client', [
      ...(await clientCommand(userOf('001'), '--action=push-me', '--data=1', '--watch')),
    ]);
    await connected.says('push 1', 30_000);
    const address = (await pod('gateway-1')).status.podIP;
    const probes = new PodCommand(namespace, 'client', ['node', '-e', watchProbes(address)]);
    await probes.says('health 200, ready 200', 30_000);
    await namespace.exec('gateway-1', 'node', '-e', "process.kill(1, 'SIGTERM')");
    await probes.says('health 200, ready 503', 10_000);
    expect(probes.lines.at(-1)).toContain('stopping');
    await connected.says('reconnecting', 30_000);
    await Promise.all([probes.stop(), connected.stop()]);
    await namespace.kubectl([
      'wait',
      '--for=jsonpath={.status.phase}=Succeeded',
      'pod/gateway-1',
      `--timeout=${drainTimeoutMs / 1000}s`,
    ]);
    expect((await pod('gateway-1')).status.containerStatuses[0]?.state.terminated?.exitCode).toBe(0);
    await namespace.apply(gatewayPod('gateway-2'));
    expect(await eventually(await clientCommand(userOf('001'), '--action=echo', '--data=again'))).toBe('again\n');
  });
});
