/** How much trouble one signal is in, or the whole gateway: the worst of its signals. */
export type OverloadState = 'normal' | 'warn' | 'shed' | 'protect';

export const overloadStates: readonly OverloadState[] = ['normal', 'warn', 'shed', 'protect'];

/** Index into `overloadStates`. */
export type Level = 0 | 1 | 2 | 3;

export interface GradeThresholds {
  readonly warn: number;
  readonly shed: number;
  /** Infinity where a signal alone never brings the gateway to protect. */
  readonly protect: number;
}

/** A level is left only below this share of the value that entered it. */
const leaveShare = 0.9;

/**
 * One signal with hysteresis: it rises at once, and falls only after the value has been below nine tenths of the level's
 * threshold for `calmMs` without a break.
 */
export class Grade {
  #thresholds: GradeThresholds;
  readonly #calmMs: number;
  #level: Level = 0;
  #calmSinceMs = Number.NaN;
  /** The highest level that the calm stretch would allow to fall to. */
  #calmLevel: Level = 0;

  constructor(thresholds: GradeThresholds, calmMs: number) {
    this.#thresholds = thresholds;
    this.#calmMs = calmMs;
  }

  get level(): Level {
    return this.#level;
  }

  configure(thresholds: GradeThresholds): void {
    this.#thresholds = thresholds;
  }

  update(nowMs: number, value: number): Level {
    const entered = this.#levelOf(value);
    if (entered > this.#level) {
      this.#level = entered;
      this.#calmSinceMs = Number.NaN;
      return this.#level;
    }
    const held = this.#levelOf(value / leaveShare);
    if (held >= this.#level) {
      this.#calmSinceMs = Number.NaN;
      return this.#level;
    }
    if (Number.isNaN(this.#calmSinceMs)) {
      this.#calmSinceMs = nowMs;
      this.#calmLevel = held;
    }
    if (held > this.#calmLevel) {
      this.#calmLevel = held;
    }
    if (nowMs - this.#calmSinceMs >= this.#calmMs) {
      this.#level = this.#calmLevel;
      this.#calmSinceMs = Number.NaN;
    }
    return this.#level;
  }

  #levelOf(value: number): Level {
    const { warn, shed, protect } = this.#thresholds;
    if (value >= protect) {
      return 3;
    }
    if (value >= shed) {
      return 2;
    }
    return value >= warn ? 1 : 0;
  }
}
