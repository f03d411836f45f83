import { describe, expect, it } from 'vitest';
import { EndedSessions } from './ended-sessions.ts';
import { endedSessionsMax } from './limits.ts';

describe('ended sessions', () => {
  it('are told by a code that makes the client log in again or stop', () => {
    const ended = new EndedSessions();
    for (const [sessionId, code] of Object.entries({ stop: 0, slow: 2007, late: 3002, kicked: 4006 })) {
      ended.add(sessionId, code);
    }
    expect(['stop', 'slow', 'late', 'kicked', 'never'].map((id) => ended.resumeCode(id))).toEqual([
      3001, 3001, 3002, 4006, 3001,
    ]);
  });

  it('are forgotten oldest first, and leave in the order they came', () => {
    const ended = new EndedSessions();
    for (let n = 0; n < endedSessionsMax + 3; n += 1) ended.add(`s${n}`, 3002);
    expect(ended.resumeCode('s2')).toBe(3001);
    expect(ended.resumeCode('s3')).toBe(3002);
    const entries = [...ended.entries()];
    expect(entries).toHaveLength(endedSessionsMax);
    expect(entries[0]).toEqual({ sessionId: 's3', code: 3002 });
    expect(entries.at(-1)?.sessionId).toBe(`s${endedSessionsMax + 2}`);
    ended.clear();
    expect([...ended.entries()]).toEqual([]);
  });
});
