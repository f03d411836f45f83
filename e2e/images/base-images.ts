/**
 * Base images where no registry of images is reached: stand-ins of the same names, made from Debian's packages and from this
 * machine's Node and Rust, so that the Dockerfiles stay as everybody needs them. What is made is kept outside the clone.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ContainerTool, ImageError, run } from '../../tools/images/container-tool.ts';

export interface BaseImageOptions {
  readonly tool: ContainerTool;
  /** Where the root file system of Debian is kept. */
  readonly cacheFolder: string;
  readonly say: (line: string) => void;
}

interface StandIn {
  readonly file: string;
  /** Stand-ins it is built from. */
  readonly needs: readonly string[];
  /** Makes the folder that is built from. */
  readonly fill?: (folder: string, options: BaseImageOptions) => Promise<void>;
  /** The folder that is built from, when it is there already. */
  readonly context?: () => Promise<string>;
  /** What of this machine goes into it. */
  readonly version?: () => string;
}

const keyLabel = 'gatesvr.stand-in';
const debian = 'docker.io/library/debian:bookworm-slim';
const suite = 'bookworm';
const debootstrapDeadlineMs = 1_800_000;
const commandDeadlineMs = 120_000;
/** What the slim image leaves out too. */
const unwanted = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/info',
  'var/cache/apt',
  'var/lib/apt/lists',
];

const fromDebian = (file: string): StandIn => ({ file, needs: [debian] });

const standIns: Readonly<Record<string, StandIn>> = {
  [debian]: { file: 'debian', needs: [], fill: fillDebian, version: () => suite },
  'docker.io/library/node:24-bookworm-slim': {
    file: 'node',
    needs: [debian],
    fill: fillNode,
    version: () => process.version,
  },
  'docker.io/library/rust:1-slim-bookworm': { file: 'rust', needs: [debian], context: rustToolchain },
  'docker.io/library/redis:7-bookworm': fromDebian('redis'),
  'docker.io/library/haproxy:lts-bookworm': fromDebian('haproxy'),
  'docker.io/library/nginx:stable-bookworm': fromDebian('nginx'),
  'docker.io/prom/prometheus:v3.5.0': fromDebian('prometheus'),
};

/**
 * Sees to it that these images are in the tool's store: what is there stays, what a registry has is pulled, the rest is made.
 * @throws {ImageError} saying what is missing.
 */
export async function provideBaseImages(tags: readonly string[], options: BaseImageOptions): Promise<void> {
  for (const tag of tags) await provide(tag, options);
}

async function provide(tag: string, options: BaseImageOptions): Promise<void> {
  const { tool, say } = options;
  const standIn = standIns[tag];
  const key = standIn === undefined ? '' : keyOf(standIn);
  if (await tool.has(tag)) {
    const label = await tool.label(tag, keyLabel);
    if (label === '' || label === key) return;
  } else {
    const problem = await tool.pull(tag);
    if (problem === undefined) return;
    if (standIn === undefined) throw new ImageError(`${tag} cannot be pulled, and is not made here: ${problem}`);
    say(`${tag} cannot be pulled (${problem})`);
  }
  if (standIn === undefined) return;
  for (const needed of standIn.needs) await provide(needed, options);
  say(`${tag}: making a stand-in from this machine's packages`);
  await make(tag, standIn, key, options);
}

function containerfile(standIn: StandIn): string {
  return join(import.meta.dirname, `${standIn.file}.Containerfile`);
}

/** Another key, another image. */
function keyOf(standIn: StandIn): string {
  const hash = createHash('sha256').update(readFileSync(containerfile(standIn)));
  return hash
    .update(standIn.version?.() ?? '')
    .digest('hex')
    .slice(0, 16);
}

async function make(tag: string, standIn: StandIn, key: string, options: BaseImageOptions): Promise<void> {
  const scratch = join(options.cacheFolder, `${standIn.file}-${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  try {
    await standIn.fill?.(scratch, options);
    const context = (await standIn.context?.()) ?? scratch;
    await options.tool.build({ tag, file: containerfile(standIn), context, labels: { [keyLabel]: key } });
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function must(command: string, args: readonly string[], deadlineMs = commandDeadlineMs): Promise<string> {
  const { status, output } = await run(command, args, deadlineMs);
  if (status === 0) return output.trim();
  throw new ImageError(`${command} ${args[0]}: ${output.trim().split('\n').at(-1) || `ended with ${status}`}`);
}

/** debian.tar: what debootstrap installs, without what the slim image leaves out. */
async function fillDebian(folder: string, { cacheFolder, say }: BaseImageOptions): Promise<void> {
  const kept = join(cacheFolder, `debian-${suite}.tar`);
  if (!existsSync(kept)) {
    if (process.getuid?.() !== 0) throw new ImageError('making a base image needs root: debootstrap must own files');
    say(`debootstrap of ${suite}, about two minutes`);
    const root = join(folder, 'root');
    await must('debootstrap', ['--variant=minbase', suite, root], debootstrapDeadlineMs);
    for (const path of unwanted) await must('find', [join(root, path), '-mindepth', '1', '-delete']);
    await must('tar', ['--create', '--numeric-owner', '--directory', root, '--file', `${kept}.${process.pid}`, '.']);
    renameSync(`${kept}.${process.pid}`, kept);
    rmSync(root, { recursive: true });
  }
  cpSync(kept, join(folder, 'debian.tar'));
}

/** node: the binary that runs this; npm: the machine's. */
async function fillNode(folder: string): Promise<void> {
  const [major] = process.versions.node.split('.');
  if (major !== '24') throw new ImageError(`the Node base image is made of the Node that runs: 24, not ${major}`);
  cpSync(process.execPath, join(folder, 'node'));
  const npm = dirname(dirname(realpathSync(await must('sh', ['-c', 'command -v npm']))));
  cpSync(npm, join(folder, 'npm'), { recursive: true, dereference: true });
}

async function rustToolchain(): Promise<string> {
  return must('rustc', ['--print', 'sysroot']);
}
