import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Quiche } from '@matrixai/quic/native/quiche.js';
import { errorMessage } from '../../lib/errors.ts';
import { TransportUnavailableError } from '../native.ts';

export type { Config, Connection, Host as HostPort } from '@matrixai/quic/native/types.js';
export type { Quiche };

let loaded: Quiche | undefined;

/**
 * The native bindings of `@matrixai/quic`, without its classes above them.
 * @throws TransportUnavailableError when the package, or its binary for this machine, is not installed.
 */
export function loadQuiche(): Quiche {
  try {
    loaded ??= requireBindings();
    return loaded;
  } catch (error) {
    throw new TransportUnavailableError(
      `the quiche transport is not installed (@matrixai/quic): ${errorMessage(error)}`,
    );
  }
}

/** By its file: loading must be possible at once, and the package's map has this one for `import` alone. */
function requireBindings(): Quiche {
  const require = createRequire(import.meta.url);
  const folder = dirname(require.resolve('@matrixai/quic/package.json'));
  return (require(join(folder, 'dist/native/quiche.js')) as { default: Quiche }).default;
}
