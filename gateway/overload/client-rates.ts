import { TokenBucket } from './token-bucket.ts';

/** What one client may send, and all clients of one address together. */
export interface ClientRateOptions {
  readonly sessionMessagesPerSecond: number;
  readonly sessionBytesPerSecond: number;
  readonly addressMessagesPerSecond: number;
  readonly addressBytesPerSecond: number;
  /** A client that is ahead of its rate by more than this is closed. */
  readonly closeAfterMs: number;
  /** Addresses that are remembered; the least recently seen one is forgotten first. */
  readonly addressesMax: number;
}

/** `charge` answered this: close with RATE_EXCEEDED. */
export const rateExceeded = Number.POSITIVE_INFINITY;

class Rate {
  readonly messages: TokenBucket;
  readonly bytes: TokenBucket;

  constructor(messagesPerSecond: number, bytesPerSecond: number) {
    this.messages = new TokenBucket(messagesPerSecond, messagesPerSecond * 2);
    this.bytes = new TokenBucket(bytesPerSecond, bytesPerSecond * 2);
  }

  configure(nowMs: number, messagesPerSecond: number, bytesPerSecond: number): void {
    if (messagesPerSecond !== this.messages.perSecond || bytesPerSecond !== this.bytes.perSecond) {
      this.messages.configure(nowMs, messagesPerSecond, messagesPerSecond * 2);
      this.bytes.configure(nowMs, bytesPerSecond, bytesPerSecond * 2);
    }
  }

  charge(nowMs: number, bytes: number): number {
    return Math.max(this.messages.charge(nowMs, 1), this.bytes.charge(nowMs, bytes));
  }
}

/** The meter of one connection. */
export class ClientMeter {
  readonly #rates: ClientRates;
  readonly #own: Rate;
  readonly #address: Rate;

  constructor(rates: ClientRates, own: Rate, address: Rate) {
    this.#rates = rates;
    this.#own = own;
    this.#address = address;
  }

  /**
   * Counts one message.
   * @returns 0: go on; otherwise milliseconds by which the client is ahead of its rate, to be slowed by that much;
   *   `rateExceeded` when it is so far ahead that it must be closed.
   */
  charge(nowMs: number, bytes: number): number {
    const options = this.#rates.options;
    this.#own.configure(nowMs, options.sessionMessagesPerSecond, options.sessionBytesPerSecond);
    this.#address.configure(nowMs, options.addressMessagesPerSecond, options.addressBytesPerSecond);
    const delayMs = Math.max(this.#own.charge(nowMs, bytes), this.#address.charge(nowMs, bytes));
    return delayMs > options.closeAfterMs ? rateExceeded : delayMs;
  }
}

/** Message and byte rates of clients: each connection has its own, and shares one with its address. */
export class ClientRates {
  #options: ClientRateOptions;
  /** In the order of last use, the oldest first. */
  readonly #addresses = new Map<string, Rate>();

  constructor(options: ClientRateOptions) {
    this.#options = options;
  }

  get options(): ClientRateOptions {
    return this.#options;
  }

  get addresses(): number {
    return this.#addresses.size;
  }

  /** Also in force for connections that are open already. */
  setOptions(options: ClientRateOptions): void {
    this.#options = options;
  }

  /** @param address textual IPv4 or IPv6 address. */
  open(address: string): ClientMeter {
    const { sessionMessagesPerSecond, sessionBytesPerSecond } = this.#options;
    return new ClientMeter(this, new Rate(sessionMessagesPerSecond, sessionBytesPerSecond), this.#ofAddress(address));
  }

  #ofAddress(address: string): Rate {
    const key = rateKey(address);
    const { addressMessagesPerSecond, addressBytesPerSecond, addressesMax } = this.#options;
    const rate = this.#addresses.get(key) ?? new Rate(addressMessagesPerSecond, addressBytesPerSecond);
    this.#addresses.delete(key);
    this.#addresses.set(key, rate);
    if (this.#addresses.size > addressesMax) {
      for (const oldest of this.#addresses.keys()) {
        this.#addresses.delete(oldest);
        break;
      }
    }
    return rate;
  }
}

/** What counts as one address: an IPv4 address, or the /64 of an IPv6 one, which is what one customer gets. */
export function rateKey(address: string): string {
  const plain = address.split('%', 1)[0] ?? address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain);
  if (mapped?.[1] !== undefined) {
    return mapped[1];
  }
  if (!plain.includes(':')) {
    return plain;
  }
  const [head = '', tail] = plain.toLowerCase().split('::', 2);
  const groups = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const lastGroups = last.reduce((count, group) => count + (group.includes('.') ? 2 : 1), 0);
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - lastGroups);
  const all = [...groups, ...Array<string>(zeros).fill('0'), ...last];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
