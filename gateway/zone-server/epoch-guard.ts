const placesMax = 1_024;

/** The highest epoch seen of each shard and history: a request of a lower one comes from a deposed primary (design I1). Pure. */
export class EpochGuard {
  #highest = new Map<string, number>();

  /** @returns false when a higher epoch is known. Epoch 0 says nothing and passes. */
  admit(shardId: string, history: string, epoch: number): boolean {
    if (epoch === 0) return true;
    const place = `${shardId} ${history}`;
    const highest = this.#highest.get(place);
    if (highest === epoch) return true;
    if (highest !== undefined && epoch < highest) return false;
    this.#highest.delete(place);
    this.#highest.set(place, epoch);
    if (this.#highest.size > placesMax) {
      const oldest = this.#highest.keys().next();
      if (oldest.done === false) this.#highest.delete(oldest.value);
    }
    return true;
  }
}
