import { PushLevel } from '../../proto/gen/upstream.ts';
import { type LogIndex, type Machine, Shard, SoloLog } from './shard.ts';

export interface SoloShardOptions<Command, Outcome, Effect> {
  readonly id: string;
  readonly machine: Machine<Command, Outcome, Effect>;
  readonly perform: (effect: Effect) => void;
  readonly incarnation: string;
  /** Counts promotions; a first epoch is the wall clock's seconds, so that a restart's is higher (rule 14). */
  readonly epoch: number;
  /** Names the state that began empty with this process. */
  readonly history: string;
}

/** A shard without a pair (`backup.enabled: false`): always primary, and what is applied is committed. */
export class SoloShard<Command, Outcome, Effect> extends Shard<Command, Outcome, Effect> {
  readonly role = 'primary';
  readonly serving = true;
  readonly redirect = '';
  readonly zoneRedirect = '';
  readonly successionWaitMs = 0;
  readonly incarnation: string;
  readonly pushLevel = PushLevel.PUSH_LEVEL_QUEUED;
  readonly peerHeartbeatLost = false;
  readonly blocked = '';
  readonly epoch: number;
  readonly history: string;
  readonly inSync: readonly string[];

  constructor(options: SoloShardOptions<Command, Outcome, Effect>) {
    super({ id: options.id, machine: options.machine, log: new SoloLog<Command>(), perform: options.perform });
    this.epoch = options.epoch;
    this.history = options.history;
    this.incarnation = options.incarnation;
    this.inSync = [options.incarnation];
  }

  get logIndex(): LogIndex {
    return this.commitIndex;
  }
}
