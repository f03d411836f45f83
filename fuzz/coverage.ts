import { type Profiler, Session } from 'node:inspector';

/** Tells what ran. */
export interface Coverage {
  /** Names of the blocks of code that ran since the last call. */
  take(): Set<string>;
  close(): void;
}

/**
 * Block coverage of the project's own code and of the decoders below it, as V8 counts it. A look costs about a millisecond,
 * so many inputs share one.
 */
export function blockCoverage(): Coverage {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  return {
    take: () => {
      const ran = new Set<string>();
      session.post('Profiler.takePreciseCoverage', (_error, taken) => {
        for (const script of taken?.result ?? []) addBlocks(ran, script);
      });
      return ran;
    },
    close: () => session.disconnect(),
  };
}

const watched = /\/(gateway|proto\/gen)\/|node_modules\/(@bufbuild|yaml)\//;

function addBlocks(ran: Set<string>, { url, functions }: Profiler.ScriptCoverage): void {
  if (!watched.test(url)) return;
  for (const { ranges } of functions) {
    for (const { startOffset, endOffset, count } of ranges) {
      // The order of magnitude counts too: a loop that runs a thousand times is not one that runs once.
      if (count > 0) ran.add(`${url}:${startOffset}:${endOffset}:${Math.min(3, Math.floor(Math.log10(count)))}`);
    }
  }
}
