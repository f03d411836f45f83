import { type ServiceError, status } from '@grpc/grpc-js';
import type { GatewayServiceClient } from '../../proto/gen/upstream.ts';
import type { Clock } from '../lib/clock.ts';
import { PushError } from './errors.ts';
import type { GatewayDirectory } from './gateway-directory.ts';

const attemptTimeoutMs = 3_000;
/** A push that waits for the client's acknowledgement is answered later. */
const ackedAttemptTimeoutMs = 35_000;
const retryMinMs = 50;
const retryMaxMs = 2_000;

/** One attempt at one gateway. */
export type Attempt<Response> = (
  client: GatewayServiceClient,
  deadline: number,
  callback: (error: ServiceError | null, response: Response) => void,
) => void;

export interface UnaryPusherOptions {
  readonly directory: GatewayDirectory;
  readonly clock: Clock;
  /** Below the gateways' push_dedupe_horizon: beyond it a repeat might be taken for new. */
  readonly horizonMs: number;
}

/**
 * Repeats a unary push, always with the same push_id, until a gateway judges it or the horizon is over. What was sent and
 * not judged by then is UNKNOWN.
 */
export class UnaryPusher {
  #options: UnaryPusherOptions;
  #stopped = false;

  constructor(options: UnaryPusherOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * @param judge turns a response into the result, or into the error that says why not.
   * @throws PushError
   */
  async send<Response, Result>(
    pushId: string,
    acked: boolean,
    attempt: Attempt<Response>,
    judge: (response: Response) => Result | PushError,
  ): Promise<Result> {
    const { clock, directory, horizonMs } = this.#options;
    if (this.#stopped) throw new PushError('unavailable', pushId, 'the zone server is stopped');
    const untilMs = clock.nowMs() + horizonMs;
    let uncertain = false;
    for (let tries = 0; ; tries += 1) {
      const address = directory.primary;
      const leftMs = untilMs - clock.nowMs();
      const timeoutMs = Math.min(acked ? ackedAttemptTimeoutMs : attemptTimeoutMs, leftMs);
      const answer = await this.#once(address, timeoutMs, attempt);
      const judged = 'error' in answer ? failureOf(pushId, answer.error) : judge(answer.response);
      if (!(judged instanceof PushError)) return judged;
      if (judged.failure !== 'not-primary' && judged.failure !== 'unavailable' && judged.failure !== 'unknown') {
        throw judged;
      }
      if (judged.failure === 'unknown') {
        if (!('error' in answer)) throw judged;
        uncertain = true;
      }
      directory.refused(address);
      const delayMs = Math.min(retryMinMs * 2 ** tries, retryMaxMs);
      if (this.#stopped || clock.nowMs() + delayMs >= untilMs) {
        throw uncertain ? new PushError('unknown', pushId, 'no gateway said in time what became of it') : judged;
      }
      await new Promise((resolve) => setTimeout(resolve, delayMs));
    }
  }

  #once<Response>(
    address: string,
    timeoutMs: number,
    attempt: Attempt<Response>,
  ): Promise<{ error: ServiceError } | { response: Response }> {
    const { clock, directory } = this.#options;
    return new Promise((resolve) => {
      attempt(directory.client(address), clock.wallMs() + timeoutMs, (error, response) => {
        resolve(error === null ? { response } : { error });
      });
    });
  }
}

/** What a gRPC error says of the push: only a refusal by the gateway's own word is certain. */
function failureOf(pushId: string, error: ServiceError): PushError {
  switch (error.code) {
    case status.INVALID_ARGUMENT:
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
    case status.UNIMPLEMENTED:
      return new PushError('invalid', pushId, error.details);
    default:
      return new PushError('unknown', pushId, error.details);
  }
}
