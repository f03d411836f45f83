import { Buffer } from 'node:buffer';
import { type Client, status } from '@grpc/grpc-js';

const checkPath = '/grpc.health.v1.Health/Check';
/** HealthCheckResponse { status: SERVING } */
const servingBytes = Buffer.of(0x08, 0x01);
const missesMax = 2;

export interface HealthProbeOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Wall clock, because a gRPC deadline is one. */
  readonly wallMs: () => number;
  readonly outcome: (healthy: boolean, detail: string) => void;
}

/**
 * Asks `grpc.health.v1` over and over while an endpoint is connected. A zone without the service counts as healthy while it
 * is connected; one answer that did not come in time is forgiven, two in a row are not.
 */
export class HealthProbe {
  #options: HealthProbeOptions;
  #client: Client;
  #timer: NodeJS.Timeout | null = null;
  #running = false;
  #misses = 0;
  /** Answers to a check begun before the last `start` or `stop` are not heard. */
  #round = 0;

  constructor(client: Client, options: HealthProbeOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Checks at once, then at the interval. */
  start(): void {
    this.stop();
    this.#running = true;
    this.#misses = 0;
    this.#check();
  }

  stop(): void {
    this.#running = false;
    this.#round += 1;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #check(): void {
    this.#timer = null;
    const round = this.#round;
    const deadline = this.#options.wallMs() + this.#options.timeoutMs;
    const request = Buffer.alloc(0);
    this.#client.makeUnaryRequest(checkPath, same, same, request, { deadline }, (error, answer) => {
      if (round !== this.#round || !this.#running) return;
      this.#heard(error?.code ?? status.OK, error?.details ?? '', answer);
      if (round !== this.#round || !this.#running) return;
      this.#timer = setTimeout(() => this.#check(), this.#options.intervalMs);
      this.#timer.unref();
    });
  }

  #heard(code: number, details: string, answer: Buffer | undefined): void {
    if (code === status.DEADLINE_EXCEEDED) {
      this.#misses += 1;
      if (this.#misses >= missesMax) this.#options.outcome(false, 'health checks go unanswered');
      return;
    }
    this.#misses = 0;
    if (code === status.OK) {
      const serving = answer?.equals(servingBytes) === true;
      this.#options.outcome(serving, serving ? '' : 'zone says it is not serving');
    } else this.#options.outcome(code === status.UNIMPLEMENTED, details);
  }
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
