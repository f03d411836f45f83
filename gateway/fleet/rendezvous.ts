/**
 * Weighted rendezvous hashing: each key goes to the candidate that draws the highest score for it. Taking a candidate out
 * moves only its own keys, and adding one moves only what it wins. Every gateway must compute the same, so the hash is part
 * of the protocol between them.
 *
 * Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous", 1996; weights by Schindelhauer and Schomaker, 2005.
 */
export interface Candidate {
  readonly id: string;
  /** Above 0; a candidate of weight 2 gets twice as many keys as one of weight 1. */
  readonly weight: number;
}

interface Drawn<C extends Candidate> {
  readonly candidate: C;
  readonly low: number;
  readonly high: number;
}

/** The candidates with what of their hashes does not depend on a key. */
export class Rendezvous<C extends Candidate> {
  #candidates: readonly Drawn<C>[];

  constructor(candidates: readonly C[]) {
    this.#candidates = candidates.map((candidate) => {
      const [low, high] = hashText(candidate.id);
      return { candidate, low, high };
    });
  }

  /** @returns undefined when there are no candidates. */
  ownerOf(key: string): C | undefined {
    const [low, high] = hashText(key);
    let best: Drawn<C> | undefined;
    let bestScore = Number.NEGATIVE_INFINITY;
    for (const drawn of this.#candidates) {
      const score = scoreOf(low, high, drawn);
      const wins = score > bestScore || (score === bestScore && best !== undefined && isBefore(drawn, best));
      if (!wins) continue;
      best = drawn;
      bestScore = score;
    }
    return best?.candidate;
  }
}

/** Ties, as good as never, go to the lower name, whatever the order of the map. */
function isBefore<C extends Candidate>(a: Drawn<C>, b: Drawn<C>): boolean {
  return a.candidate.id < b.candidate.id;
}

/** An exponentially distributed draw, scaled by weight: the highest wins with a probability in proportion to it. */
function scoreOf<C extends Candidate>(low: number, high: number, drawn: Drawn<C>): number {
  const a = mix(low ^ drawn.low ^ Math.imul(high, 0x9e3779b1));
  const b = mix(high ^ drawn.high ^ Math.imul(a, 0x85ebca6b));
  // 53 bits, moved off 0 and below 1.
  const fraction = ((a >>> 0) * 0x200000 + (b >>> 11) + 0.5) / 0x20000000000000;
  return drawn.candidate.weight / -Math.log(fraction);
}

/** Two 32-bit hashes of the UTF-16 units of a text. */
function hashText(text: string): [number, number] {
  let low = 0x811c9dc5;
  let high = 0x01000193 ^ text.length;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x5bd1e995);
    high ^= high >>> 13;
  }
  return [mix(low), mix(high)];
}

/** The finaliser of MurmurHash3: every bit of the input changes every bit of the output with probability one half. */
function mix(number: number): number {
  let n = number ^ (number >>> 16);
  n = Math.imul(n, 0x85ebca6b);
  n ^= n >>> 13;
  n = Math.imul(n, 0xc2b2ae35);
  return n ^ (n >>> 16);
}
