import { spawnSync } from 'node:child_process';
import { errorMessage } from '../lib/errors.ts';
import { loadNative, TransportUnavailableError } from './native.ts';
import * as quiche from './quiche.ts';
import * as quinn from './quinn.ts';
import type {
  ClientTransport,
  ClientTransportOptions,
  ServerTransport,
  ServerTransportOptions,
  TransportKind,
  TransportListener,
} from './transport.ts';

export interface ChosenTransport {
  readonly kind: TransportKind;
  /** Why it must not serve in production; absent for the one that may. */
  readonly warning?: string;
  listen(options: ServerTransportOptions, listener: TransportListener): Promise<ServerTransport>;
  openClient(options: ClientTransportOptions, listener: TransportListener): ClientTransport;
}

/** What the choice depends on. */
export interface Machine {
  /** @throws TransportUnavailableError without the addon. */
  loadAddon(): void;
  canBuildAddon(): boolean;
}

const thisMachine: Machine = {
  loadAddon: () => void loadNative(),
  canBuildAddon: () => process.platform === 'linux' && spawnSync('cargo', ['--version']).status === 0,
};

const forDevelopment = 'the quiche transport is for development: quiche 0.18 has known denial-of-service advisories';

/**
 * The production transport where it is built. The one for development when it was asked for by name, or when the other
 * is not built and this machine cannot build it.
 * @throws TransportUnavailableError when what was asked for, or anything at all, cannot be had.
 */
export function chooseTransport(wanted: 'auto' | TransportKind, machine = thisMachine): ChosenTransport {
  if (wanted === 'quiche') return { kind: 'quiche', warning: `${forDevelopment} (chosen by name)`, ...quiche };
  try {
    machine.loadAddon();
    return { kind: 'quinn', ...quinn };
  } catch (error) {
    if (wanted === 'quinn') throw error;
    const reason = errorMessage(error);
    if (machine.canBuildAddon()) throw new TransportUnavailableError(`${reason}; or choose --transport=quiche`);
    return {
      kind: 'quiche',
      warning: `${forDevelopment} (chosen because ${reason}, and cargo is not here)`,
      ...quiche,
    };
  }
}
