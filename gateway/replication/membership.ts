import { type ArbiterAnswer, type Lease, type LeaseContent, sameSet } from './arbiter.ts';

/** How safe an entry is once it is committed (I2). */
export type CommitLevel = 'committed' | 'degraded';

/**
 * Who must have applied an entry before it is committed (rules 1 and 2). The primary says whom it wants; a member is
 * required from before the write that adds it and until the write that removes it is confirmed, and after an unknown
 * outcome until a later write succeeds.
 */
export class Membership {
  readonly #self: string;
  #lease: Lease;
  /** What the last successful write named. */
  #confirmed: readonly string[];
  #wanted: readonly string[];
  /** Everybody named by a write whose outcome is not known yet. */
  #asked: readonly string[] = [];
  #writing: readonly string[] | undefined;
  #doubtful = false;
  #stale = false;
  #required: readonly string[] = [];

  /** @param lease the Lease that made `self` primary. */
  constructor(self: string, lease: Lease) {
    this.#self = self;
    this.#lease = lease;
    this.#confirmed = lease.inSync;
    this.#wanted = lease.inSync;
    this.#settle();
  }

  get lease(): Lease {
    return this.#lease;
  }

  /** The set the arbiter is known to have recorded. */
  get confirmed(): readonly string[] {
    return this.#confirmed;
  }

  /** Others that commits wait for. */
  get required(): readonly string[] {
    return this.#required;
  }

  /** COMMITTED only while the places of all members in the Lease are beyond doubt. */
  get level(): CommitLevel {
    const stays = (member: string) => this.#wanted.includes(member) && this.#writing?.includes(member) !== false;
    const beyondDoubt = !this.#doubtful && this.#confirmed.every(stays);
    return beyondDoubt && this.#confirmed.length > 1 ? 'committed' : 'degraded';
  }

  /** A write is needed before the recorded set is the wanted one. */
  get unsettled(): boolean {
    return this.#doubtful || this.#writing !== undefined || !sameSet(this.#wanted, this.#confirmed);
  }

  wants(incarnation: string): boolean {
    return this.#wanted.includes(incarnation);
  }

  /** The member holds all that is committed: required from now on. */
  add(incarnation: string): void {
    if (this.wants(incarnation)) return;
    this.#wanted = [...this.#wanted, incarnation];
    this.#settle();
  }

  /** The member is gone or stalls: still required until its removal is recorded. */
  drop(incarnation: string): void {
    this.#wanted = this.#wanted.filter((member) => member !== incarnation || member === this.#self);
    this.#settle();
  }

  /** The Lease must be read before anything can be written. */
  get mustRead(): boolean {
    return this.#stale && this.#writing === undefined;
  }

  /**
   * @param touch write the same again when nothing has to change, so that others see the primary live.
   * @returns what to write now; the caller must ask for it and give the answer to `answered`.
   */
  nextWrite(touch = false): LeaseContent | undefined {
    if (this.#writing !== undefined || this.#stale) return undefined;
    if (!touch && !this.#doubtful && sameSet(this.#wanted, this.#confirmed)) return undefined;
    this.#writing = this.#wanted;
    this.#asked = [...new Set([...this.#asked, ...this.#wanted])];
    const { epoch, history, holder } = this.#lease;
    return { epoch, history, holder, inSync: this.#wanted };
  }

  /** The answer to the write last asked for. */
  answered(answer: ArbiterAnswer): void {
    const written = this.#writing;
    if (written === undefined) return;
    this.#writing = undefined;
    if (answer.kind === 'swapped') {
      this.#lease = answer.lease;
      this.#confirmed = written;
      this.#asked = [];
      this.#doubtful = false;
      this.#settle();
      return;
    }
    this.#stale = true;
    if (answer.kind === 'unknown') this.#doubtful = true;
    // A refused write did not happen; what it asked for stays in doubt only if an older one is.
    else if (!this.#doubtful) this.#asked = [];
    this.#settle();
  }

  /** The Lease was read and still names this tenure: only its version is news; a read settles nothing (rule 2). */
  sawLease(lease: Lease): void {
    if (this.#writing !== undefined) return;
    if (lease.revision < this.#lease.revision) return;
    this.#lease = lease;
    this.#stale = false;
  }

  /** Another write than this membership's own is under way on the same version (a switchover): its outcome decides. */
  beginOtherWrite(): void {
    this.#writing = this.#confirmed;
  }

  #settle(): void {
    const all = new Set([...this.#confirmed, ...this.#wanted, ...this.#asked]);
    all.delete(this.#self);
    this.#required = [...all];
  }
}
