import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lib/command.ts';

/** What holds the namespaces of each pod. */
export const pauseImage = 'gatesvr.example/pause:1';

/** Makes an archive as `docker save` does. @param executable static. @returns its path */
export async function makePauseImage(folder: string, executable: string): Promise<string> {
  const root = join(folder, 'layer');
  mkdirSync(root, { recursive: true });
  copyFileSync(executable, join(root, 'pause'));
  await run('tar', ['--create', '--file', join(folder, 'layer.tar'), '--directory', root, 'pause']);
  const diffId = `sha256:${createHash('sha256')
    .update(readFileSync(join(folder, 'layer.tar')))
    .digest('hex')}`;
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const config = { Entrypoint: ['/pause'], User: '65535:65535' };
  const rootfs = { type: 'layers', diff_ids: [diffId] };
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ architecture, os: 'linux', config, rootfs }));
  const manifest = [{ Config: 'config.json', RepoTags: [pauseImage], Layers: ['layer.tar'] }];
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
  const archive = join(folder, 'pause-image.tar');
  await run('tar', ['--create', '--file', archive, '--directory', folder, 'manifest.json', 'config.json', 'layer.tar']);
  return archive;
}
