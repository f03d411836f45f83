import { UsageError } from '../lib/errors.ts';
import { didYouMean } from '../lib/suggest.ts';
import { exitCodes } from './command-error.ts';

interface AdminSubcommand {
  readonly summary: string;
  readonly load: () => Promise<(argv: readonly string[]) => Promise<number>>;
}

const subcommands: Readonly<Record<string, AdminSubcommand>> = {
  status: {
    summary: 'role, readiness, sessions, shards',
    load: async () => (await import('./admin/status.ts')).status,
  },
  sessions: { summary: 'list sessions', load: async () => (await import('./admin/sessions.ts')).sessions },
  kick: { summary: 'end a session', load: async () => (await import('./admin/sessions.ts')).kick },
  drain: { summary: 'send clients away', load: async () => (await import('./admin/roles.ts')).drain },
  promote: {
    summary: 'tell a gateway that it is primary',
    load: async () => (await import('./admin/roles.ts')).promote,
  },
  demote: { summary: 'hand a shard to its backup', load: async () => (await import('./admin/roles.ts')).demote },
  limits: {
    summary: 'show or change the overload limits',
    load: async () => (await import('./admin/limits.ts')).limits,
  },
  zones: { summary: 'show or replace the zones', load: async () => (await import('./admin/zones.ts')).zones },
  push: { summary: 'push to one user', load: async () => (await import('./admin/push.ts')).push },
  broadcast: { summary: 'push to many', load: async () => (await import('./admin/push.ts')).broadcast },
  fleet: { summary: 'show or hand out the fleet map', load: async () => (await import('./admin/fleet.ts')).fleet },
  presence: { summary: 'who is online, and where', load: async () => (await import('./admin/fleet.ts')).presence },
  group: {
    summary: 'put users into a group, take them out, push to it',
    load: async () => (await import('./admin/group.ts')).group,
  },
  token: { summary: 'make an hmac token', load: async () => (await import('./admin/token.ts')).token },
};

const names = Object.keys(subcommands);
const width = Math.max(...names.map((name) => name.length));

const usage = `gatesvr admin: look into a running gateway and steer it

Usage: gatesvr admin SUBCOMMAND [flags]

${Object.entries(subcommands)
  .map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  .join('\n')}

Examples:
  gatesvr admin status --gateway localhost:8092
  gatesvr admin sessions --zone 003 --json
  gatesvr admin push --openid alice --data "hello"
  gatesvr admin token --openid alice --ttl 1h --secret-file secret.txt

gatesvr admin SUBCOMMAND --help says more.
`;

/** The `admin` subcommand. @returns the exit code. @throws {UsageError} or {CommandError} */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage);
    return exitCodes.ok;
  }
  const subcommand = name !== undefined && Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
  if (subcommand === undefined) {
    const given = name ?? 'no subcommand';
    throw new UsageError(`admin: ${given}: expected ${names.join(', ')}${didYouMean(given, names)}`);
  }
  const run = await subcommand.load();
  return run(rest);
}
