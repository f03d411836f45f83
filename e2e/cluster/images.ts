import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, repositoryFolder } from '../../bench/lib/toolchain.ts';
import { buildImages, imageNames } from '../../tools/images/build-images.ts';
import type { ContainerTool } from '../../tools/images/container-tool.ts';
import { type Cluster, progress } from './cluster.ts';
import { isInstalled, run } from './lib/command.ts';
import { installPackages } from './lib/packages.ts';

/** What the pods of the tests run; never pulled. */
export const gatewayImage = 'gatesvr/gateway:e2e';
export const loadImage = 'gatesvr/load:e2e';

/** What the load needs of this clone. */
const loadSources = ['package.json', 'proto/gen', 'gateway', 'bench/lib', 'e2e/pair', 'e2e/cluster/load'];
const notOfTheLoad = /\.test\.ts$|\.node$|\/target$/;

const buildersOnDebian = { buildah: 'buildah', debootstrap: 'debootstrap' };
const megabyte = 1_000_000;
const saveDeadlineMs = 10 * 60_000;

/** Builds the images of this clone with what is there, and puts them into the cluster's nodes. */
export async function provideImages(cluster: Cluster): Promise<void> {
  if (cluster.loadImage === undefined) {
    progress(
      `the images ${imageNames.map((name) => `gatesvr/${name}:e2e`).join(' and ')} have to be in the cluster already`,
    );
    return;
  }
  if (!(await hasBuilder())) await installPackages(buildersOnDebian);
  progress('building the images');
  const say = (line: string) => progress(line);
  const { tool, tags } = await buildImages({
    names: imageNames,
    imageTag: 'e2e',
    containerTool: '',
    env: process.env,
    say,
  });
  const folder = join(cacheFolder(process.env), 'e2e-images', cluster.name);
  mkdirSync(folder, { recursive: true });
  await buildLoadImage(tool);
  for (const tag of [...tags, loadImage]) {
    const archive = join(folder, `${tag.replaceAll(/[/:]/g, '-')}.tar`);
    rmSync(archive, { force: true });
    await run(...saveCommand(tool.name, tag, archive), { deadlineMs: saveDeadlineMs });
    progress(`loading ${tag}, ${Math.round(statSync(archive).size / megabyte)} MB`);
    await cluster.loadImage(archive);
  }
  rmSync(folder, { recursive: true });
}

async function buildLoadImage(tool: ContainerTool): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), 'gatesvr-load-'));
  try {
    for (const source of loadSources) {
      const filter = (path: string) => !notOfTheLoad.test(path);
      cpSync(join(repositoryFolder, source), join(context, source), { recursive: true, filter });
    }
    await tool.build({ tag: loadImage, file: join(import.meta.dirname, 'load', 'Dockerfile'), context });
  } finally {
    rmSync(context, { recursive: true });
  }
}

async function hasBuilder(): Promise<boolean> {
  for (const name of ['podman', 'buildah']) if (await isInstalled(name)) return true;
  return run('docker', ['info']).then(
    () => true,
    () => false,
  );
}

/** podman and buildah would call it localhost/…; nodes look for docker.io/…. */
function saveCommand(tool: string, tag: string, archive: string): [string, string[]] {
  if (tool === 'docker') return ['docker', ['save', '--output', archive, tag]];
  return [tool, ['push', tag, `docker-archive:${archive}:docker.io/${tag}`]];
}
