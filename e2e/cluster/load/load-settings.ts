import type { PairVerdict } from '../../pair/pair-ledger.ts';
import type { RequestVerdict } from '../../pair/pair-load.ts';

export const loadPort = 7000;

/** What the load's pod is told at its start. */
export interface LoadSettings {
  /** HOST:PORT of gateways, for clients and for zones. */
  readonly clientEndpoints: readonly string[];
  readonly zoneEndpoints: readonly string[];
  /** By which gateways reach the zones; the pod's address when absent. */
  readonly advertiseHost?: string;
  readonly clients: number;
  readonly pushPauseMs: number;
  readonly requestPauseMs: number;
  readonly seed: number;
}

/** What has happened so far. */
export interface LoadState {
  readonly connected: number;
  /** The longest time without service since it was last watched. */
  readonly gapMs: number;
  readonly reconnects: number;
  readonly resets: number;
  /** Pushes by what zones were told of them. */
  readonly levels: Readonly<Record<string, number>>;
  readonly verdict: PairVerdict;
  readonly findings: readonly string[];
  readonly requests: RequestVerdict;
}
