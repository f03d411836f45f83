import { describe, expect, it } from 'vitest';
import { CommandLog } from './command-log.ts';

function log(change: { batchEntriesMax?: number; bufferEntriesMax?: number; bufferBytesMax?: number } = {}) {
  return new CommandLog<Uint8Array>({
    after: 100,
    encode: (commands) => Buffer.concat(commands),
    batchEntriesMax: 4,
    bufferEntriesMax: 10,
    bufferBytesMax: 1_000_000,
    ...change,
  });
}

function append(of: CommandLog<Uint8Array>, count: number, bytes = 1): void {
  for (let n = 0; n < count; n += 1) of.append(new Uint8Array(bytes));
  of.seal(7, 0);
}

describe('CommandLog', () => {
  it('numbers from where it began, and seals batches of bounded length with the hash of their end', () => {
    const commands = log();
    append(commands, 9);
    expect([commands.first, commands.last]).toEqual([101, 109]);
    expect(commands.batchAt(101)).toMatchObject({ first: 101, last: 104, hash: 0 });
    expect(commands.batchAt(106)).toMatchObject({ first: 105, last: 108, hash: 0 });
    expect(commands.batchAt(109)).toMatchObject({ first: 109, last: 109, hash: 7 });
    expect([commands.batchAt(100), commands.batchAt(110)]).toEqual([undefined, undefined]);
  });

  it('parts a batch that is too large, down to single commands', () => {
    const commands = log();
    append(commands, 4, 700_000);
    expect(commands.batchAt(102)).toMatchObject({ first: 102, last: 102 });
    append(commands, 1, 3_000_000);
    expect(commands.batchAt(105)?.bytes).toHaveLength(3_000_000);
  });

  it('keeps what is released within the buffer, for who comes back', () => {
    const commands = log();
    append(commands, 8);
    commands.release(108);
    expect(commands.batchAt(101)).toBeDefined();
    append(commands, 40);
    commands.release(148);
    expect([commands.first, commands.batchAt(140), commands.batchAt(141)?.first]).toEqual([141, undefined, 141]);
    expect(commands.batchAt(101)).toBeUndefined();
  });

  it('lets go of memory beyond its bytes', () => {
    const commands = log({ bufferBytesMax: 1_000 });
    for (let n = 0; n < 50; n += 1) {
      append(commands, 1, 300);
      commands.release(commands.last);
    }
    expect(commands.last - commands.first).toBeLessThan(4);
    expect(commands.full).toBe(false);
  });

  it('is congested when followers lag by its buffer, and full far beyond that', () => {
    const commands = log();
    append(commands, 9);
    expect([commands.congested, commands.full]).toEqual([false, false]);
    append(commands, 1);
    expect([commands.congested, commands.full]).toEqual([true, false]);
    append(commands, 70);
    expect(commands.full).toBe(true);
    commands.release(180);
    expect([commands.congested, commands.full]).toEqual([false, false]);
  });

  it('finds batches after many were released', () => {
    const commands = log();
    for (let n = 0; n < 3_000; n += 1) {
      append(commands, 1);
      commands.release(commands.last - 5);
    }
    expect(commands.batchAt(3_100)).toMatchObject({ first: 3_100, last: 3_100 });
    expect(commands.batchAt(2_000)).toBeUndefined();
  });
});
