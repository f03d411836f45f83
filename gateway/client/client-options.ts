import type { ClientState, SessionReset, StateDetail } from './client-effect.ts';
import type { GatesvrError } from './client-errors.ts';
import { defaultTuning, type SessionTuning } from './session-options.ts';

/** What came with a push or a response besides its data. */
export interface MessageInfo {
  readonly headers: Readonly<Record<string, string>>;
  readonly seqId: number;
}

export type PushHandler = (data: Uint8Array, info: MessageInfo) => void;
export type StateHandler = (state: ClientState, detail: StateDetail) => void;
export type SessionResetHandler = (reset: SessionReset) => void;

export interface ClientHandlers {
  /** Called once for each push, in order. What it throws goes to `onWarning`, and the push counts as delivered. */
  readonly onPush?: PushHandler;
  readonly onStateChange?: StateHandler;
  /** The gateway no longer knew the session: what was not delivered is lost, and a new one is made. */
  readonly onSessionReset?: SessionResetHandler;
  /** Something that the client gets over, but somebody should know. Without it warnings are dropped, errors of handlers thrown. */
  readonly onWarning?: (error: GatesvrError | Error) => void;
}

/** Everything but the first two has a default; see `SessionTuning` for times and limits. */
export interface ClientOptions extends Partial<SessionTuning>, ClientHandlers {
  /** "host:port" each; tried in turn. */
  readonly endpoints: readonly string[];
  /** 1 to 128 bytes of UTF-8. */
  readonly openid: string;
  /** The proof of the openid, or a function that gets a fresh one for each login. */
  readonly token?: string | (() => string | Promise<string>);
  /** Names the device, for people. */
  readonly clientId?: string;
  /** For certificate verification; the endpoint's host when absent. */
  readonly serverName?: string;
}

export interface ResponseWithInfo {
  readonly data: Uint8Array;
  readonly info: MessageInfo;
}

export interface RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** From the call to the answer, resumes and retries included. Default 10000. */
  readonly timeoutMs?: number;
  /** `high` is refused last under overload. */
  readonly priority?: 'normal' | 'high';
  /** Default true: a request that the gateway refuses for now is sent again within its time. */
  readonly retry?: boolean;
}

const openidBytesMax = 128;
const openRequestsMax = 64;

/** @throws {TypeError} or {RangeError} that names the option, its value and what was expected. */
export function checkClientOptions(options: ClientOptions): void {
  if (!Array.isArray(options.endpoints) || options.endpoints.length === 0) {
    throw new TypeError('endpoints: expected at least one "host:port"');
  }
  const bytes = Buffer.byteLength(String(options.openid ?? ''));
  if (bytes === 0 || bytes > openidBytesMax) {
    throw new RangeError(`openid: ${bytes} bytes: expected 1 to ${openidBytesMax}`);
  }
  for (const name of Object.keys(defaultTuning) as (keyof SessionTuning)[]) {
    const value = options[name];
    if (value === undefined) continue;
    const max = name === 'openRequestsMax' ? openRequestsMax : Number.POSITIVE_INFINITY;
    if (typeof value !== 'number' || !(value > 0) || value > max) {
      throw new RangeError(
        `${name}: ${value}: expected a number above 0${max === openRequestsMax ? `, at most ${max}` : ''}`,
      );
    }
  }
}

/** @throws {RangeError} */
export function checkRequestOptions({ timeoutMs }: RequestOptions): void {
  if (timeoutMs === undefined || (timeoutMs > 0 && Number.isFinite(timeoutMs))) return;
  throw new RangeError(`timeoutMs: ${timeoutMs}: expected a finite number above 0`);
}

/** The options' own times and limits over the defaults. */
export function tuningOf(options: ClientOptions): SessionTuning {
  const tuning: Record<string, number> = { ...defaultTuning };
  for (const name of Object.keys(defaultTuning) as (keyof SessionTuning)[]) {
    tuning[name] = options[name] ?? defaultTuning[name];
  }
  return tuning as unknown as SessionTuning;
}
