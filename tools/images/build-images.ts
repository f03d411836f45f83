import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { provideBaseImages } from '../../e2e/images/base-images.ts';
import { type ContainerTool, findContainerTool, ImageError } from './container-tool.ts';

export const imageNames = ['gateway', 'operator'] as const;
export type ImageName = (typeof imageNames)[number];

export interface ImagesOptions {
  readonly names: readonly ImageName[];
  /** The tag of the images, after gatesvr/NAME. */
  readonly imageTag: string;
  /** docker, podman or buildah; empty for the first that works. */
  readonly containerTool: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly say: (line: string) => void;
}

const root = join(import.meta.dirname, '../..');
const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** The images that a Dockerfile starts from, each once. */
export function baseImages(dockerfile: string): string[] {
  const named = [...dockerfile.matchAll(/^(?:ARG \w+_IMAGE=|FROM (?=\S+[/:]))(\S+)/gm)].map(([, tag]) => tag ?? '');
  return [...new Set(named)];
}

/**
 * Builds the images from this clone with what is there: docker, podman or buildah.
 * @returns their full names.
 * @throws {ImageError} saying in one line what is missing, or which build failed.
 */
export async function buildImages(options: ImagesOptions): Promise<{ tool: ContainerTool; tags: string[] }> {
  const { names, imageTag, containerTool, env, say } = options;
  if (!tagPattern.test(imageTag)) throw new ImageError(`IMAGE_TAG=${imageTag}: expected letters, digits, . _ -`);
  const tool = await findContainerTool(containerTool);
  const cacheFolder = join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'gatesvr', 'images');
  const tags: string[] = [];
  for (const name of names) {
    const file = join(root, `Dockerfile.${name}`);
    await provideBaseImages(baseImages(readFileSync(file, 'utf8')), { tool, cacheFolder, say });
    const tag = `gatesvr/${name}:${imageTag}`;
    say(`${tag}: building with ${tool.name}`);
    await tool.build({ tag, file, context: root, args: buildArgs(env), secrets: machineSettings(env) });
    tags.push(tag);
  }
  return { tool, tags };
}

function buildArgs(env: ImagesOptions['env']): Record<string, string> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
  const set = proxies.flatMap((name) => (env[name] ? [[name, env[name]]] : []));
  return { VERSION: version, REVISION: revision(), ...Object.fromEntries(set) };
}

function revision(): string {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

/** How this machine reaches its registries: read while building, never part of an image. */
function machineSettings(env: ImagesOptions['env']): Record<string, string> {
  const files = {
    npmrc: env['NPM_CONFIG_USERCONFIG'] || join(homedir(), '.npmrc'),
    cargo: join(env['CARGO_HOME'] || join(homedir(), '.cargo'), 'config.toml'),
    ca: env['SSL_CERT_FILE'] || env['NODE_EXTRA_CA_CERTS'] || '',
  };
  return Object.fromEntries(Object.entries(files).filter(([, path]) => path !== '' && existsSync(path)));
}
