export interface QueuedPush<Item, Judged> {
  readonly item: Item;
  readonly bytes: number;
  /** Its result may take long: it gets a batch of its own. */
  readonly alone: boolean;
  readonly done: (judged: Judged) => void;
}

export interface NumberedPush<Item, Judged> extends QueuedPush<Item, Judged> {
  /** 0 until it is first sent. */
  number: number;
  /** When it was first sent. */
  sentMs: number | undefined;
}

/** The pushes of one producer: which wait, which are out, under which numbers, and in which order results come. Pure. */
export class PushWindow<Item, Judged> {
  #windowItems: number;
  #backlogItems: number;
  #backlog: NumberedPush<Item, Judged>[] = [];
  #backlogHead = 0;
  /** By number, rising. */
  #out = new Map<number, NumberedPush<Item, Judged>>();
  /** Numbers to send again on this connection, rising. */
  #again: number[] = [];
  /** Numbers sent on this connection, in order; results come in this order. */
  #sent: number[] = [];
  #sentHead = 0;
  #lastNumber = 0;
  #aloneOut = 0;

  constructor(windowItems: number, backlogItems: number) {
    this.#windowItems = windowItems;
    this.#backlogItems = backlogItems;
  }

  get size(): number {
    return this.#out.size + this.#waiting;
  }

  /** When the oldest unanswered push was first sent; infinity when none is out. */
  get oldestSentMs(): number {
    const oldest = this.#out.values().next();
    return oldest.done === true ? Number.POSITIVE_INFINITY : (oldest.value.sentMs ?? Number.POSITIVE_INFINITY);
  }

  get anyOut(): boolean {
    return this.#out.size > 0;
  }

  /** Results that may take as long as a client takes to acknowledge are out. */
  get awaitsClients(): boolean {
    return this.#aloneOut > 0;
  }

  /** @returns false when too many wait. */
  add(push: QueuedPush<Item, Judged>): boolean {
    if (this.#waiting >= this.#backlogItems) return false;
    this.#backlog.push({ ...push, number: 0, sentMs: undefined });
    return true;
  }

  /** The next batch: numbers without holes, at most so many items and about so many bytes. Empty when none may be sent. */
  take(itemsMax: number, bytesMax: number, nowMs: number): NumberedPush<Item, Judged>[] {
    const batch: NumberedPush<Item, Judged>[] = [];
    let bytes = 0;
    while (batch.length < itemsMax && bytes < bytesMax) {
      const last = batch.at(-1);
      const next = this.#next();
      if (next === undefined || last?.alone === true || (last !== undefined && next.alone)) break;
      const number = next.number === 0 ? this.#lastNumber + 1 : next.number;
      if (last !== undefined && number !== last.number + 1) break;
      this.#advance(next, number, nowMs);
      batch.push(next);
      bytes += next.bytes;
    }
    return batch;
  }

  /** The number the next result is for. @param echo the push id the result names, empty when it names none. */
  match(echo: string): number | undefined {
    const expected = this.#sent[this.#sentHead];
    this.#sentHead += 1;
    return echo === '' || echo === String(expected) ? expected : Number(echo);
  }

  /** Takes an answered push out; undefined when it had its answer. */
  answer(number: number): NumberedPush<Item, Judged> | undefined {
    const push = this.#out.get(number);
    if (push?.alone === true) this.#aloneOut -= 1;
    this.#out.delete(number);
    return push;
  }

  /** The connection is gone: everything unanswered is sent again on the next one. */
  resend(): void {
    this.#again = [...this.#out.keys()];
    this.#sent = [];
    this.#sentHead = 0;
  }

  /** Gives up what is out; numbers begin anew, for a new producer id. */
  dropSent(): NumberedPush<Item, Judged>[] {
    const dropped = [...this.#out.values()];
    this.#out.clear();
    this.resend();
    this.#lastNumber = 0;
    this.#aloneOut = 0;
    return dropped;
  }

  /** Gives up everything. */
  drop(): NumberedPush<Item, Judged>[] {
    const dropped = [...this.dropSent(), ...this.#backlog.slice(this.#backlogHead)];
    this.#backlog = [];
    this.#backlogHead = 0;
    return dropped;
  }

  get #waiting(): number {
    return this.#backlog.length - this.#backlogHead;
  }

  #next(): NumberedPush<Item, Judged> | undefined {
    for (let number = this.#again[0]; number !== undefined; number = this.#again[0]) {
      const push = this.#out.get(number);
      if (push !== undefined) return push;
      this.#again.shift();
    }
    return this.#out.size < this.#windowItems ? this.#backlog[this.#backlogHead] : undefined;
  }

  #advance(push: NumberedPush<Item, Judged>, number: number, nowMs: number): void {
    if (push.number !== 0) this.#again.shift();
    else {
      this.#backlogHead += 1;
      if (this.#backlogHead === this.#backlog.length) {
        this.#backlog = [];
        this.#backlogHead = 0;
      }
      this.#lastNumber = number;
      push.number = number;
      this.#out.set(number, push);
      if (push.alone) this.#aloneOut += 1;
    }
    push.sentMs ??= nowMs;
    this.#sent.push(number);
    if (this.#sentHead > 1_024 && this.#sentHead * 2 > this.#sent.length) {
      this.#sent = this.#sent.slice(this.#sentHead);
      this.#sentHead = 0;
    }
  }
}
