/** Session ids of a fleet begin with the pair that made them, so that a push by session id alone finds its way. */
const separator = '.';

export function sessionIdOf(pairId: string, unique: string): string {
  return pairId === '' ? unique : `${pairId}${separator}${unique}`;
}

/** @returns '' when the id names no pair. */
export function pairOfSession(sessionId: string): string {
  const end = sessionId.indexOf(separator);
  return end < 1 ? '' : sessionId.slice(0, end);
}
