import { errorMessage } from '../../lib/errors.ts';
import { loadNative } from '../native.ts';
import * as quiche from '../quiche.ts';
import * as quinn from '../quinn.ts';
import type { Adapter, Pairing } from './rig.ts';

const quinnAdapter: Adapter = { ...quinn, name: 'quinn', module: new URL('../quinn.ts', import.meta.url).href };
const quicheAdapter: Adapter = { ...quiche, name: 'quiche', module: new URL('../quiche.ts', import.meta.url).href };

function whyNoAddon(): string | undefined {
  try {
    loadNative();
    return undefined;
  } catch (error) {
    return errorMessage(error);
  }
}

const missing = whyNoAddon();
if (missing !== undefined) process.stderr.write(`not tested: everything that needs the addon: ${missing}\n`);

/** The production transport can be tested on this machine. */
export const hasQuinn = missing === undefined;

/** Every server with every client. */
export const pairings: readonly Pairing[] = (hasQuinn ? [quinnAdapter, quicheAdapter] : [quicheAdapter]).flatMap(
  (server, _index, adapters) => adapters.map((client) => ({ server, client })),
);
