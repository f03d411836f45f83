/**
 * STARTs of clients that come to resume at a backup while it takes over: refused, each would cost another handshake just when
 * everybody comes at once. Bounded by the connections, of which each has one START.
 */
export class ParkedStarts {
  #waiting = new Set<() => void>();
  #schedule: (delayMs: number, run: () => void) => void;

  constructor(schedule: (delayMs: number, run: () => void) => void) {
    this.#schedule = schedule;
  }

  /** `go` runs once, when this gateway may serve or at the latest after `waitMs`. */
  park(waitMs: number, go: () => void): void {
    this.#waiting.add(go);
    this.#schedule(waitMs, () => {
      if (this.#waiting.delete(go)) go();
    });
  }

  /** The role changed: everybody is judged again. */
  release(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const go of waiting) go();
  }
}
