import { describe, expect, it } from 'vitest';
import { AnswerMemory } from './answer-memory.ts';
import { EpochGuard } from './epoch-guard.ts';

function memory(limits: { entriesMax?: number; bytesMax?: number; keepMs?: number } = {}): AnswerMemory<string> {
  return new AnswerMemory({ entriesMax: 10, bytesMax: 1_000, keepMs: 100, ...limits });
}

function recall(from: AnswerMemory<string>, key: string, nowMs: number): string {
  let heard = 'nothing';
  const hear = (answer: string): void => {
    heard = answer;
  };
  if (from.join(key, nowMs, hear)) return heard;
  from.begin(key, hear);
  return 'run';
}

describe('AnswerMemory', () => {
  it('runs once, tells everybody who asked meanwhile, and remembers', () => {
    const answers = memory();
    const heard: string[] = [];
    const hear = (who: string) => (answer: string) => heard.push(`${who} ${answer}`);
    expect(answers.join('a', 0, hear('nobody'))).toBe(false);
    answers.begin('a', hear('first'));
    expect(answers.join('a', 1, hear('second'))).toBe(true);
    expect(heard).toEqual([]);
    answers.finish('a', 'yes', 1, 2);
    expect(heard).toEqual(['first yes', 'second yes']);
    expect(recall(answers, 'a', 3)).toBe('yes');
  });

  it('forgets after its time', () => {
    const answers = memory();
    recall(answers, 'a', 0);
    answers.finish('a', 'yes', 1, 0);
    expect(recall(answers, 'a', 99)).toBe('yes');
    expect(recall(answers, 'a', 100)).toBe('run');
  });

  it('keeps no more than its count and its bytes, the newest', () => {
    const byCount = memory({ entriesMax: 2 });
    const byBytes = memory({ bytesMax: 25 });
    for (const answers of [byCount, byBytes]) {
      for (const key of ['a', 'b', 'c']) {
        recall(answers, key, 0);
        answers.finish(key, key, 10, 0);
      }
      expect(answers.size).toBe(2);
      expect([recall(answers, 'c', 1), recall(answers, 'b', 1), recall(answers, 'a', 1)]).toEqual(['c', 'b', 'run']);
    }
  });
});

describe('EpochGuard', () => {
  it('lets epochs of one shard and history only rise', () => {
    const guard = new EpochGuard();
    expect(guard.admit('p0', 'h', 5)).toBe(true);
    expect(guard.admit('p0', 'h', 5)).toBe(true);
    expect(guard.admit('p0', 'h', 4)).toBe(false);
    expect(guard.admit('p0', 'h', 6)).toBe(true);
    expect(guard.admit('p0', 'h', 5)).toBe(false);
    expect(guard.admit('p0', 'new', 1)).toBe(true);
    expect(guard.admit('p1', 'h', 1)).toBe(true);
    expect(guard.admit('p0', 'h', 0)).toBe(true);
  });

  it('keeps a bounded number of places', () => {
    const guard = new EpochGuard();
    for (let index = 0; index < 2_000; index += 1) guard.admit(`p${index}`, 'h', 9);
    expect(guard.admit('p0', 'h', 1)).toBe(true);
    expect(guard.admit('p1999', 'h', 1)).toBe(false);
  });
});
