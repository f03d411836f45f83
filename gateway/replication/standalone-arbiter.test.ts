import { describe, expect, it } from 'vitest';
import type { ArbiterAnswer, LeaseContent } from './arbiter.ts';
import { StandaloneArbiter } from './standalone-arbiter.ts';

const content = (change: Partial<LeaseContent> = {}): LeaseContent => {
  return { epoch: 1, history: 'h', holder: 'A/1', inSync: ['A/1'], ...change };
};

function ask(arbiter: StandaloneArbiter, next: LeaseContent): ArbiterAnswer[] {
  const answers: ArbiterAnswer[] = [];
  arbiter.ask({ kind: 'read' }, (read) => {
    if (read.kind !== 'lease') return;
    arbiter.ask({ kind: 'swap', expected: read.lease, next }, (answer) => answers.push(answer));
  });
  return answers;
}

function pair() {
  let announced = 0;
  const a = new StandaloneArbiter({ serverId: 'A', announce: () => (announced += 1) });
  const b = new StandaloneArbiter({ serverId: 'B', announce: () => {} });
  expect(ask(a, content())[0]?.kind).toBe('swapped');
  return { a, b, announcements: () => announced };
}

describe('StandaloneArbiter', () => {
  it('gives the other process a place only once that has heard of it', () => {
    const { a, b, announcements } = pair();
    const answers = ask(a, content({ inSync: ['A/1', 'B/1'] }));
    expect([answers.length, announcements()]).toEqual([0, 2]);
    expect(b.heard(a.announced)).toBe(true);
    expect(a.heard(b.announced)).toBe(false);
    expect(answers[0]).toMatchObject({ kind: 'swapped', lease: { inSync: ['A/1', 'B/1'] } });
  });

  it('takes a place away at once', () => {
    const { a, b } = pair();
    ask(a, content({ inSync: ['A/1', 'B/1'] }));
    b.heard(a.announced);
    a.heard(b.announced);
    expect(ask(a, content())[0]?.kind).toBe('swapped');
  });

  it('hands the shard over only once the successor has heard of it', () => {
    const { a, b } = pair();
    const answers = ask(a, content({ epoch: 2, holder: 'B/1', inSync: ['B/1'] }));
    expect(answers).toEqual([]);
    b.heard(a.announced);
    a.heard(b.announced);
    expect(answers[0]).toMatchObject({ kind: 'swapped', lease: { holder: 'B/1', epoch: 2 } });
  });

  it('a later write outranks one that the peer may have taken unheard', () => {
    const { a, b } = pair();
    ask(a, content({ inSync: ['A/1', 'B/1'] }));
    b.heard(a.announced);
    expect(ask(a, content())[0]?.kind).toBe('swapped');
    expect(b.heard(a.announced)).toBe(true);
    expect(b.announced?.inSync).toEqual(['A/1']);
  });

  it('the higher epoch wins when they meet, and what waited is refused', () => {
    const { a, b } = pair();
    b.heard(a.announced);
    expect(ask(b, content({ epoch: 2, holder: 'B/1', inSync: ['B/1'] }))[0]?.kind).toBe('swapped');
    const answers = ask(a, content({ inSync: ['A/1', 'B/1'] }));
    expect(a.heard(b.announced)).toBe(true);
    expect(answers[0]?.kind).toBe('conflict');
    expect(b.heard(a.announced)).toBe(false);
    expect(ask(a, content({ epoch: 1 })).length).toBe(1);
  });

  it('refuses a write on a version that is not the newest', () => {
    const { a } = pair();
    const answers: ArbiterAnswer[] = [];
    a.ask({ kind: 'swap', expected: undefined, next: content() }, (answer) => answers.push(answer));
    expect(answers).toEqual([{ kind: 'conflict' }]);
  });
});
