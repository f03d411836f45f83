export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * The wait before attempt `failures` + 1: doubled with each failure, plus up to a tenth by chance so that many that failed
 * together do not come again together.
 *
 * @param failures how often it failed in a row, from 1
 * @param random a number from 0 up to 1
 */
export function backoffMs({ firstMs, maxMs }: BackoffLimits, failures: number, random: number): number {
  const exponent = Math.min(Math.max(0, failures - 1), 50);
  return Math.min(maxMs, firstMs * 2 ** exponent) * (1 + random / 10);
}
