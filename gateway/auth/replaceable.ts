import type { Authenticator, AuthRequest, AuthResult } from './authenticator.ts';

/** Long enough for a proof that is being judged when the configuration changes. */
const closeAfterMs = 10_000;

/** The authenticator in force, which a reload replaces; proofs under way are judged by the one they came to. */
export class ReplaceableAuthenticator implements Authenticator {
  #current: Authenticator;
  #later: (delayMs: number, run: () => void) => void;

  constructor(first: Authenticator, later: (delayMs: number, run: () => void) => void) {
    this.#current = first;
    this.#later = later;
  }

  get mode(): Authenticator['mode'] {
    return this.#current.mode;
  }

  authenticate(nowWallMs: number, request: AuthRequest): AuthResult | Promise<AuthResult> {
    return this.#current.authenticate(nowWallMs, request);
  }

  replace(next: Authenticator): void {
    const old = this.#current;
    this.#current = next;
    this.#later(closeAfterMs, () => old.close());
  }

  close(): void {
    this.#current.close();
  }
}
