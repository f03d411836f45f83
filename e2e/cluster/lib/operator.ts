import { join } from 'node:path';
import { repositoryFolder } from '../../../bench/lib/toolchain.ts';
import { helm, helmProgram } from '../../charts/helm.ts';
import { type Cluster, progress } from '../cluster.ts';
import { run } from './command.ts';

const system = 'gatesvr-system';
const readySeconds = 120;

/** Installs the kinds and the operator by their charts, as a user would; nothing happens when they are there already. */
export async function installOperator(cluster: Cluster): Promise<void> {
  const program = helmProgram(process.env);
  const to = [`--kubeconfig=${cluster.kubeconfigPath}`, `--namespace=${system}`];
  const chart = (name: string) => join(repositoryFolder, 'charts', name);
  const images = ['--set=image.tag=e2e', '--set=gatewayImage.tag=e2e'];
  progress('installing the operator by Helm');
  for (const args of [
    ['upgrade', '--install', '--create-namespace', ...to, 'gatesvr-crds', chart('gatesvr-crds'), '--wait'],
    ['upgrade', '--install', ...to, ...images, 'gatesvr', chart('gatesvr'), '--wait', `--timeout=${readySeconds}s`],
  ]) {
    const { status, stderr } = helm(program, args);
    if (status !== 0) throw new Error(`helm ${args[0]} ${args.at(-2)}: ${stderr}${await whatIsThere(cluster)}`);
  }
}

/** For the message of an installation that did not come up. */
async function whatIsThere({ kubectl: [program, ...first] }: Cluster): Promise<string> {
  const tail = ['logs', '--selector=app.kubernetes.io/instance=gatesvr', '--all-containers', '--tail=30'];
  const ask = (...args: string[]) => run(program, [...first, `--namespace=${system}`, ...args]).catch(String);
  return `${await ask('get', 'pods', '-o', 'wide')}\n${await ask(...tail)}`;
}
