const millisecondsOf: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/**
 * Milliseconds of a duration as the CRDs allow it: "200ms", "5s", "1m30s", "2160h".
 * @throws RangeError for anything else
 */
export function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) {
    throw new RangeError(`${text}: expected a duration such as 200ms, 5s or 1m30s`);
  }
  return parts.reduce((total, [, amount, unit]) => total + Number(amount) * (millisecondsOf[unit ?? ''] ?? 0), 0);
}
