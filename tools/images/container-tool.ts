import { spawn } from 'node:child_process';

/** The programs that can build images, the first that works is taken. */
const names = ['docker', 'podman', 'buildah'] as const;
export type ContainerToolName = (typeof names)[number];

export class ImageError extends Error {
  override readonly name = 'ImageError';
}

interface Ran {
  readonly status: number;
  readonly output: string;
}

export interface BuildRequest {
  readonly tag: string;
  readonly file: string;
  readonly context: string;
  readonly args?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Files of this machine that a build may read, by id; they are not part of the image. */
  readonly secrets?: Readonly<Record<string, string>>;
}

const probeDeadlineMs = 30_000;
const pullDeadlineMs = 600_000;
const buildDeadlineMs = 3_600_000;

/** Runs a program to its end. What it says goes to the terminal when `shown`, and is returned otherwise. */
export function run(command: string, args: readonly string[], deadlineMs: number, shown = false): Promise<Ran> {
  return new Promise((resolve) => {
    const stdio = shown ? 'inherit' : 'pipe';
    const child = spawn(command, args, { stdio: ['ignore', stdio, stdio], timeout: deadlineMs });
    let output = '';
    const keep = (chunk: Buffer): void => {
      output += chunk;
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.on('error', (error) => resolve({ status: 127, output: error.message }));
    child.on('close', (status) => resolve({ status: status ?? 1, output }));
  });
}

/** docker, podman or buildah, by what they have in common. */
export class ContainerTool {
  readonly name: ContainerToolName;

  constructor(name: ContainerToolName) {
    this.name = name;
  }

  async has(tag: string): Promise<boolean> {
    return (await this.#inspect(tag)).status === 0;
  }

  /** The value of a label; empty when the image or the label is missing. */
  async label(tag: string, key: string): Promise<string> {
    const { status, output } = await this.#inspect(tag);
    if (status !== 0) return '';
    const [image] = [JSON.parse(output)].flat();
    return image.Config?.Labels?.[key] ?? image.OCIv1?.config?.Labels?.[key] ?? '';
  }

  /** @returns why there is no such image, or undefined. */
  async pull(tag: string): Promise<string | undefined> {
    const { status, output } = await run(this.name, ['pull', tag], pullDeadlineMs);
    return status === 0 ? undefined : output.trim().split('\n').at(-1);
  }

  /** @throws {ImageError} */
  async build(request: BuildRequest): Promise<void> {
    const { status } = await run(this.name, buildArguments(this.name, request), buildDeadlineMs, true);
    if (status !== 0) throw new ImageError(`${this.name} could not build ${request.tag} from ${request.file}`);
  }

  #inspect(tag: string): Promise<Ran> {
    const args = this.name === 'buildah' ? ['inspect', '--type', 'image', tag] : ['image', 'inspect', tag];
    return run(this.name, args, probeDeadlineMs);
  }
}

/** podman and buildah isolate by chroot, which needs no runtime, and keep docker's format, as OCI's has no health check. */
export function buildArguments(tool: ContainerToolName, request: BuildRequest): string[] {
  const { tag, file, context, args = {}, labels = {}, secrets = {} } = request;
  return [
    'build',
    ...(tool === 'docker' ? [] : ['--isolation', 'chroot', '--format', 'docker', '--pull=false']),
    ...(tool === 'buildah' ? ['--layers'] : []),
    ...Object.entries(args).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    ...Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]),
    ...Object.entries(secrets).flatMap(([id, path]) => ['--secret', `id=${id},src=${path}`]),
    '--tag',
    tag,
    '--file',
    file,
    context,
  ];
}

/** docker's client is of no use without its engine, the others are programs that build by themselves. */
async function works(name: ContainerToolName): Promise<boolean> {
  const args = name === 'docker' ? ['info', '--format', '{{.ServerVersion}}'] : ['--version'];
  return (await run(name, args, probeDeadlineMs)).status === 0;
}

/**
 * @param wanted one of them, or empty for the first that works.
 * @throws {ImageError} when it does not work, or none does.
 */
export async function findContainerTool(wanted: string): Promise<ContainerTool> {
  const candidates = wanted === '' ? names : names.filter((name) => name === wanted);
  if (candidates.length === 0) throw new ImageError(`CONTAINER_TOOL=${wanted}: expected ${names.join(', ')}`);
  for (const name of candidates) {
    if (await works(name)) return new ContainerTool(name);
  }
  throw new ImageError(
    wanted === ''
      ? 'missing: docker with its engine running, podman, or buildah, to build images with'
      : `CONTAINER_TOOL=${wanted} does not work here: is it installed${wanted === 'docker' ? ', is its engine running' : ''}?`,
  );
}
