#!/usr/bin/env node
import { errorMessage, UsageError } from '../lib/errors.ts';
import { didYouMean } from '../lib/suggest.ts';
import { version } from '../lib/version.ts';
import { CommandError, exitCodes } from './command-error.ts';

interface Subcommand {
  readonly summary: string;
  /** Loaded on use, so that `--help` is quick. */
  readonly load: () => Promise<{ main(argv: string[]): Promise<number> }>;
}

const subcommands: Readonly<Record<string, Subcommand>> = {
  gateway: { summary: 'run the gateway', load: () => import('../main.ts') },
  operator: {
    summary: 'look after GateSvrs and Zones in a Kubernetes cluster',
    load: () => import('../../operator/main.ts'),
  },
  upstream: { summary: 'run an example zone', load: () => import('./upstream-command.ts') },
  client: {
    summary: 'connect as a client: one request, watch pushes, or interactive',
    load: () => import('./client-command.ts'),
  },
  bench: { summary: 'run a benchmark', load: () => import('./bench-command.ts') },
  admin: { summary: 'look into a running gateway and steer it', load: () => import('./admin-command.ts') },
  kubectl: {
    summary: 'look at fleets in Kubernetes and steer them; also as the plugin kubectl gatesvr',
    load: () => import('./kubectl-command.ts'),
  },
};

const width = Math.max(...Object.keys(subcommands).map((name) => name.length));
const list = Object.entries(subcommands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);

const usage = `gatesvr: a QUIC gateway whose sessions outlive connections

Usage: gatesvr SUBCOMMAND [flags]

${list.join('\n')}

Examples:
  gatesvr gateway --dev
  gatesvr upstream --zone 001 --addr localhost:9001 --gateway localhost:8092
  gatesvr client --addr localhost:8453 --openid alice --insecure --action echo --data hi
  gatesvr admin status --gateway localhost:8092

gatesvr SUBCOMMAND --help says more. Exit codes: 0; 1 failure; 2 usage or configuration; 3 cannot connect; 4 refused or closed.
`;

async function run(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    process.stderr.write(usage);
    return exitCodes.usage;
  }
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version}\n`);
    return exitCodes.ok;
  }
  const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (subcommand === undefined) {
    const names = Object.keys(subcommands);
    throw new UsageError(`${name}: expected ${names.join(', ')}${didYouMean(name, names)} (see gatesvr --help)`);
  }
  return (await subcommand.load()).main(rest);
}

/** Whoever reads our output may leave early, as `head` does. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCodes.ok : exitCodes.failure);
});

try {
  process.exit(await run(process.argv.slice(2)));
} catch (error) {
  const message = errorMessage(error);
  // Configuration may have several problems, one a line; anything else has one line.
  const text = error instanceof UsageError ? message : message.split('\n')[0];
  process.stderr.write(`gatesvr: ${text}\n`);
  const code = error instanceof CommandError ? error.exitCode : exitCodes.failure;
  process.exit(error instanceof UsageError ? exitCodes.usage : code);
}
