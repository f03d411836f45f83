import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { run } from './lib/command.ts';
import { kubernetesBinaries } from './lib/kubernetes-binary.ts';
import { processesUnder } from './lib/process-identity.ts';

async function kubectl({ kubeconfigPath }: ControlPlane, ...args: string[]): Promise<string> {
  const { kubernetes } = await kubernetesBinaries();
  return run(kubernetes, ['kubectl', `--kubeconfig=${kubeconfigPath}`, ...args]);
}

const deployment = ['create', 'deployment', 'web', '--image=nowhere.example/web', '--replicas=2'];

describe('a control plane alone', () => {
  let planes: ControlPlane[] = [];

  beforeAll(async () => {
    planes = await Promise.all([startControlPlane(), startControlPlane({ controllers: true })]);
  });
  afterAll(async () => {
    await Promise.all(planes.map((plane) => plane.stop()));
  });

  it('keeps objects, apart from those of another that runs beside it', async () => {
    const [first, second] = planes as [ControlPlane, ControlPlane];
    await kubectl(first, 'create', 'configmap', 'only-here', '--from-literal=a=b');
    expect(await kubectl(first, 'get', 'configmap', 'only-here', '-o', 'jsonpath={.data.a}')).toBe('b');
    await expect(kubectl(second, 'get', 'configmap', 'only-here')).rejects.toThrow('not found');
  });

  it('has controllers when asked for', async () => {
    const [without, having] = planes as [ControlPlane, ControlPlane];
    for (const plane of planes) await kubectl(plane, ...deployment);
    await kubectl(having, 'wait', '--for=create', 'pod', '-l', 'app=web', '--timeout=60s');
    expect(await kubectl(without, 'get', 'pods', '-o', 'name')).toBe('');
  });

  it('asks who it is', async () => {
    const [{ server }] = planes as [ControlPlane, ControlPlane];
    const insecure = ['kubectl', `--server=${server}`, '--insecure-skip-tls-verify', '--kubeconfig=/dev/null'];
    const { kubernetes } = await kubernetesBinaries();
    await expect(run(kubernetes, [...insecure, 'get', 'secrets', '--token=wrong'])).rejects.toThrow(
      /Unauthorized|logged in/,
    );
  });

  it('leaves nothing behind', async () => {
    const plane = await startControlPlane();
    const folder = dirname(plane.kubeconfigPath);
    expect(processesUnder(folder).length).toBeGreaterThan(1);
    await plane.stop();
    expect(processesUnder(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  });
});
