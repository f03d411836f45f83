/** Runs something once at the end of the current turn of the event loop, however often it is asked for. */
export class Turn {
  #defer: (run: () => void) => void;
  #work: () => void;
  #asked = false;

  /** @param defer queueMicrotask outside of tests. */
  constructor(defer: (run: () => void) => void, work: () => void) {
    this.#defer = defer;
    this.#work = work;
  }

  ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#defer(this.#run);
  }

  #run = (): void => {
    this.#asked = false;
    this.#work();
  };
}
