import type { GateSvr } from '../api/gatesvr.ts';
import { table } from './fleet-text.ts';
import type { PodReader } from './pod-reader.ts';

/** What is read of the body of /stats. */
interface Stats {
  readonly connections?: unknown;
  readonly sessions?: unknown;
  readonly overload?: { readonly state?: unknown };
}

/** Connections and sessions by gateway, as each says them. */
export async function sessionsText({ metadata, status = {} }: GateSvr, reader: PodReader): Promise<string> {
  const members = (status.pairs ?? []).flatMap(({ name, members: both = [] }) =>
    both.map((member) => ({ ...member, pair: name })),
  );
  const rows = await Promise.all(
    members.map(async ({ pair, pod = '', role = '-' }) => [
      pair,
      pod,
      role,
      ...(await statsOf(reader, metadata.namespace ?? '', pod)),
    ]),
  );
  return table(['PAIR', 'POD', 'ROLE', 'CONNECTIONS', 'SESSIONS', 'OVERLOAD'], rows);
}

async function statsOf(reader: PodReader, namespace: string, pod: string): Promise<string[]> {
  try {
    const { connections, sessions, overload } = JSON.parse(await reader.http(namespace, pod, '/stats')) as Stats;
    return [count(connections), count(sessions), String(overload?.state ?? '-')];
  } catch (error) {
    return ['-', '-', `not reached: ${error instanceof Error ? error.message.slice(0, 60) : error}`];
  }
}

/** A number, or an object that counts what it says in parts. */
function count(value: unknown): string {
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .filter(([, part]) => typeof part === 'number')
      .map(([name, part]) => `${name} ${part}`)
      .join(', ');
  }
  return String(value ?? '-');
}
