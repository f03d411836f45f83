/** Values below 2 ** linearBits microseconds have their own bucket; above, each doubling is cut into 2 ** linearBits. */
const linearBits = 4;
const linear = 1 << linearBits;
const microsecondsMax = 0x7fff_ffff;
const bucketCount = (31 - linearBits + 1) * linear;

function bucketOf(microseconds: number): number {
  if (microseconds < linear) return microseconds;
  const exponent = 31 - Math.clz32(microseconds);
  return (exponent - linearBits) * linear + (microseconds >>> (exponent - linearBits));
}

/** The first value, in microseconds, that is above the bucket. */
function bucketEnd(bucket: number): number {
  if (bucket < linear) return bucket + 1;
  const exponent = Math.floor(bucket / linear) - 1 + linearBits;
  return ((bucket % linear) + linear + 1) * 2 ** (exponent - linearBits);
}

/** Upper bounds for Prometheus, in seconds: doublings, because those are exact edges of the buckets. 64 µs to 33.6 s. */
const boundExponents = Array.from({ length: 20 }, (_, index) => index + 6);

/**
 * Durations in log-linear buckets, like HdrHistogram: recording is a few integer operations and no allocation, a quantile
 * is at most 1/16 above the true one. Durations above 35 minutes count as 35 minutes.
 */
export class LatencyHistogram {
  count = 0;
  sumMs = 0;
  maxMs = 0;
  #buckets = new Float64Array(bucketCount);

  record(durationMs: number): void {
    const microseconds = durationMs <= 0 ? 0 : Math.min(Math.floor(durationMs * 1000), microsecondsMax);
    const bucket = bucketOf(microseconds);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.count += 1;
    this.sumMs += durationMs;
    if (durationMs > this.maxMs) this.maxMs = durationMs;
  }

  /** Milliseconds that the share `q` (0 to 1) of the recorded durations does not exceed; 0 when there are none. */
  quantileMs(q: number): number {
    const rank = Math.max(1, Math.ceil(q * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      seen += this.#buckets[bucket] ?? 0;
      if (seen >= rank) return Math.min(bucketEnd(bucket) / 1000, this.maxMs);
    }
    return 0;
  }

  /** How many durations were below each bound, cumulative, as Prometheus wants them. Bounds are in seconds. */
  cumulative(): { readonly boundSeconds: number; readonly count: number }[] {
    let bucket = 0;
    let seen = 0;
    return boundExponents.map((exponent) => {
      for (const end = bucketOf(2 ** exponent); bucket < end; bucket += 1) seen += this.#buckets[bucket] ?? 0;
      return { boundSeconds: 2 ** exponent / 1_000_000, count: seen };
    });
  }

  /** Adds everything `other` recorded. */
  add(other: LatencyHistogram): void {
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + (other.#buckets[bucket] ?? 0);
    }
    this.count += other.count;
    this.sumMs += other.sumMs;
    this.maxMs = Math.max(this.maxMs, other.maxMs);
  }

  clear(): void {
    this.#buckets.fill(0);
    this.count = 0;
    this.sumMs = 0;
    this.maxMs = 0;
  }
}
