import { join } from 'node:path';
import { Child } from '../lib/child.ts';
import type { Contestant } from '../lib/contest.ts';

/** Our production transport, quic-go, and our transport for development. */
export type EchoContestant = Contestant | 'quiche';

export interface Measured {
  readonly server: Child;
  readonly load: Child;
}

const kindOf = { ours: 'quinn', quiche: 'quiche' } as const;
const startDeadlineMs = 30_000;
/** Thousands of handshakes take long on a busy machine. */
const connectDeadlineMs = 120_000;

/** Starts an echo server and the quic-go load on it, the same load for both, and stops them after the measurement. */
export async function withEcho<T>(
  contestant: EchoContestant,
  programs: string,
  loadFlags: readonly string[],
  measure: (measured: Measured) => Promise<T>,
): Promise<T> {
  const echo = join(programs, 'echo');
  const server =
    contestant === 'peer'
      ? await Child.start(echo, [], { interactive: true })
      : await Child.start(process.execPath, [join(import.meta.dirname, 'server.ts'), kindOf[contestant]], {
          interactive: true,
        });
  const started = [server];
  try {
    const { address } = await server.event('listening', startDeadlineMs);
    const load = await Child.start(echo, ['--addr', String(address), ...loadFlags], { interactive: true });
    started.push(load);
    await load.event('connected', connectDeadlineMs);
    return await measure({ server, load });
  } finally {
    for (const child of started.reverse()) await child.stop();
  }
}
