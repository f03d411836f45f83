/** A generator of numbers that repeats for the same seed (xorshift32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % end;
  }
}

/** Values at the edges of what a byte, a length or a varint can be. */
const edges = [
  [0],
  [0xff],
  [0x7f],
  [0x80],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff],
  [0xed, 0xa0, 0x80],
  [0xf0, 0x9f, 0x98, 0x80],
];

type Mutation = (random: Random, input: Buffer, other: Buffer) => Buffer;

const mutations: readonly Mutation[] = [
  (random, input) => {
    const at = random.below(Math.max(1, input.length));
    if (input.length > 0) input[at] = (input[at] ?? 0) ^ (1 << random.below(8));
    return input;
  },
  (random, input) => {
    if (input.length > 0) input[random.below(input.length)] = random.below(256);
    return input;
  },
  (random, input) => splice(input, random.below(input.length + 1), 0, edge(random)),
  (random, input) => splice(input, random.below(input.length + 1), edge(random).length, edge(random)),
  (random, input) => splice(input, random.below(input.length + 1), 1 + random.below(8), Buffer.alloc(0)),
  (random, input) => input.subarray(0, random.below(input.length + 1)),
  (random, input) => {
    const from = random.below(input.length + 1);
    const part = Buffer.from(input.subarray(from, from + 1 + random.below(32)));
    return splice(input, random.below(input.length + 1), 0, part);
  },
  (random, input, other) => {
    const from = random.below(other.length + 1);
    const part = other.subarray(from, from + 1 + random.below(64));
    return splice(input, random.below(input.length + 1), random.below(part.length + 1), part);
  },
];

/** Another input made of `input`, and of pieces of `other`, by a few small changes. */
export function mutate(random: Random, input: Uint8Array, other: Uint8Array, bytesMax: number): Buffer {
  let changed: Buffer = Buffer.from(input);
  for (let more = true; more; more = random.below(2) === 0) {
    const mutation = mutations[random.below(mutations.length)] as Mutation;
    changed = mutation(random, changed, Buffer.from(other));
  }
  return changed.subarray(0, bytesMax);
}

function edge(random: Random): Buffer {
  return Buffer.from(edges[random.below(edges.length)] as number[]);
}

function splice(input: Buffer, at: number, remove: number, insert: Buffer): Buffer {
  return Buffer.concat([input.subarray(0, at), insert, input.subarray(at + remove)]);
}
