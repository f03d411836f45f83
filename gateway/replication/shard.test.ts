import { describe, expect, it } from 'vitest';
import { type CommitLog, Shard } from './shard.ts';

class HeldLog implements CommitLog<string> {
  commitIndex = 0;
  last = 0;

  append(): number {
    this.last += 1;
    return this.last;
  }
}

function heldShard() {
  const log = new HeldLog();
  const heard: string[] = [];
  const machine = {
    apply: (index: number, command: string, effects: string[]) => {
      effects.push(`effect of ${command}`);
      return `${command} at ${index}`;
    },
  };
  const shard = new Shard<string, string, string>({ id: 's', machine, log, perform: (effect) => heard.push(effect) });
  const commit = (index: number) => {
    log.commitIndex = index;
    shard.release();
  };
  return { log, shard, heard, commit };
}

describe('Shard', () => {
  it('lets nothing out before it is committed, and everything in order', () => {
    const { shard, heard, commit } = heldShard();
    for (const word of ['a', 'b', 'c']) shard.submit(word, (outcome) => heard.push(outcome));
    expect(heard).toEqual([]);
    commit(2);
    expect(heard).toEqual(['a at 1', 'effect of a', 'b at 2', 'effect of b']);
    commit(2);
    expect(heard).toHaveLength(4);
    commit(3);
    expect(heard.slice(4)).toEqual(['c at 3', 'effect of c']);
  });

  it('keeps the order when a callback submits again', () => {
    const { log, shard, heard } = heldShard();
    log.commitIndex = Number.MAX_SAFE_INTEGER;
    shard.submit('a', () => {
      heard.push('a');
      shard.submit('b', () => heard.push('b'));
      heard.push('end of a');
    });
    expect(heard).toEqual(['a', 'end of a', 'effect of a', 'b', 'effect of b']);
  });

  it('tells those who wait when it is abandoned, and releases nothing more', () => {
    const { shard, heard, commit } = heldShard();
    shard.submit('a', () => heard.push('a'));
    shard.submit(
      'b',
      () => heard.push('b'),
      () => heard.push('b dropped'),
    );
    commit(1);
    shard.abandon();
    commit(9);
    expect(heard).toEqual(['a', 'effect of a', 'b dropped']);
  });

  it('keeps up with a long queue', () => {
    const { shard, commit } = heldShard();
    let released = 0;
    for (let n = 0; n < 20_000; n += 1) shard.submit('x', () => (released += 1));
    for (let index = 1_500; index <= 20_000; index += 1_500) commit(index);
    expect(released).toBe(19_500);
  });
});
