import type { Coverage } from './coverage.ts';
import { mutate, Random } from './mutate.ts';

/** Does something with bytes from a stranger. Whatever it throws is a finding. */
export type Target = (input: Uint8Array) => void;

export interface Finding {
  readonly input: Uint8Array;
  readonly error: unknown;
}

export interface FuzzOptions {
  readonly target: Target;
  readonly corpus: readonly Uint8Array[];
  readonly seed: number;
  readonly inputBytesMax: number;
  readonly coverage: Coverage;
  /** Inputs that share one look at the coverage. */
  readonly batch: number;
}

/** Inputs kept; beyond that a new one takes the place of an old one. */
const corpusMax = 4096;

/** Coverage-guided: an input that makes new code run is kept, and more are made from it. */
export class Fuzzer {
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #corpus: Uint8Array[];
  readonly #seen = new Set<string>();
  readonly kept: Uint8Array[] = [];
  runs = 0;

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#corpus = options.corpus.length === 0 ? [new Uint8Array(0)] : [...options.corpus];
  }

  /** Runs the corpus itself. */
  replay(): Finding | undefined {
    for (const input of this.#corpus) {
      const finding = this.#run(input);
      if (finding !== undefined) return finding;
    }
    this.#takeNew();
    return undefined;
  }

  /** Runs one batch of new inputs. */
  step(): Finding | undefined {
    const { batch, inputBytesMax } = this.#options;
    const inputs: Uint8Array[] = [];
    for (let i = 0; i < batch; i += 1) {
      const input = mutate(this.#random, this.#pick(), this.#pick(), inputBytesMax);
      inputs.push(input);
      const finding = this.#run(input);
      if (finding !== undefined) return finding;
    }
    const news = this.#takeNew();
    if (news.size > 0) this.#keepThoseThatReach(news, inputs);
    return undefined;
  }

  #takeNew(): Set<string> {
    const ran = [...this.#options.coverage.take()];
    const news = new Set(ran.filter((block) => !this.#seen.has(block)));
    for (const block of news) this.#seen.add(block);
    return news;
  }

  /** Which inputs of a batch it was is found by running each alone. */
  #keepThoseThatReach(blocks: Set<string>, inputs: readonly Uint8Array[]): void {
    for (const input of inputs) {
      this.#run(input);
      const reached = [...this.#options.coverage.take()].filter((block) => blocks.has(block));
      if (reached.length > 0) this.#keep(input);
      for (const block of reached) blocks.delete(block);
    }
  }

  #keep(input: Uint8Array): void {
    if (this.#corpus.length < corpusMax) this.#corpus.push(input);
    else this.#corpus[this.#random.below(corpusMax)] = input;
    this.kept.push(input);
  }

  #pick(): Uint8Array {
    // The newest are the most promising.
    const newest = Math.min(this.#corpus.length, 32);
    const index =
      this.#random.below(2) === 0
        ? this.#corpus.length - 1 - this.#random.below(newest)
        : this.#random.below(this.#corpus.length);
    return this.#corpus[index] as Uint8Array;
  }

  #run(input: Uint8Array): Finding | undefined {
    this.runs += 1;
    try {
      this.#options.target(input);
      return undefined;
    } catch (error) {
      return { input, error };
    }
  }
}
