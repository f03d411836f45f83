import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose';

/** Keys cannot be had: none were ever read, or the wanted one may be in a newer set that could not be read. */
export class KeysUnavailableError extends Error {
  override readonly name = 'KeysUnavailableError';
}

export interface KeySetOptions {
  /** Reads the set from its file or URL; rejects when it cannot. */
  readonly load: () => Promise<JSONWebKeySet>;
  /** A set older than this is read again. */
  readonly maxAgeMs: number;
  /** At least so long between two reads, also after a failure. */
  readonly cooldownMs: number;
  /** Told when a read fails, once each. */
  readonly onLoadError?: (error: unknown) => void;
}

type FindKey = (header: JWSHeaderParameters, token: FlattenedJWSInput) => Promise<CryptoKey>;

/**
 * A cached JSON Web Key Set (RFC 7517). An unknown key id causes a read, at most one in each cooldown; a read that fails
 * leaves the last good keys in force.
 */
export class KeySet {
  readonly #options: KeySetOptions;
  #find: FindKey | undefined;
  #loadedMs = Number.NEGATIVE_INFINITY;
  #triedMs = Number.NEGATIVE_INFINITY;
  #lastFailed = false;
  #loading: Promise<void> | undefined;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  /**
   * @throws KeysUnavailableError
   * @throws errors.JWKSNoMatchingKey when the set is current and has no such key.
   */
  async key(nowMs: number, header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    if (this.#find === undefined) {
      await this.#load(nowMs);
    } else if (nowMs - this.#loadedMs >= this.#options.maxAgeMs) {
      // The old keys serve until the new ones are there.
      void this.#load(nowMs);
    }
    if (this.#find === undefined) {
      throw new KeysUnavailableError('no key set could be read');
    }
    try {
      return await this.#find(header, token);
    } catch (thrown) {
      if (!(thrown instanceof errors.JWKSNoMatchingKey)) {
        throw thrown;
      }
    }
    await this.#load(nowMs);
    return this.#findAgain(header, token);
  }

  async #findAgain(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    try {
      return await (this.#find as FindKey)(header, token);
    } catch (thrown) {
      if (thrown instanceof errors.JWKSNoMatchingKey && this.#lastFailed) {
        throw new KeysUnavailableError('the key is not known and the key set could not be read again');
      }
      throw thrown;
    }
  }

  /** One read at a time; resolves also when it fails, or when it is too early for another. */
  async #load(nowMs: number): Promise<void> {
    if (this.#loading !== undefined) {
      return this.#loading;
    }
    if (nowMs - this.#triedMs < this.#options.cooldownMs) {
      return;
    }
    this.#triedMs = nowMs;
    this.#loading = this.#read(nowMs);
    await this.#loading;
    this.#loading = undefined;
  }

  async #read(nowMs: number): Promise<void> {
    try {
      this.#find = createLocalJWKSet(await this.#options.load());
      this.#loadedMs = nowMs;
      this.#lastFailed = false;
    } catch (thrown) {
      this.#lastFailed = true;
      this.#options.onLoadError?.(thrown);
    }
  }
}
