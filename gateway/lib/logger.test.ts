import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger, formatLine, shorten } from './logger.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gatesvr-log-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function fileLogger(maxBytes = 3_145_728) {
  return createLogger({ level: 'info', file: join(directory, 'gatesvr.log'), maxBytes, files: 5 });
}

const read = (name: string) => readFileSync(join(directory, name), 'utf8');

describe('createLogger with a file', () => {
  it('writes time, place of the caller, level, message and fields', async () => {
    const log = fileLogger();
    log.info({ openid: 'alice', note: 'two words' }, 'session started');
    log.debug({}, 'below the level');
    log.warn({}, 'no fields');
    await log.flush();
    const [first, second, ...rest] = read('gatesvr.log').split('\n');
    const line =
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z logger\.test\.ts:(\d+) INFO session started openid=alice note="two words"$/;
    expect(first).toMatch(line);
    const calledFrom = Number(line.exec(first ?? '')?.[1]);
    const source = readFileSync(new URL(import.meta.url), 'utf8').split('\n');
    expect(source[calledFrom - 1]).toContain("'session started'");
    expect(second).toMatch(/ WARN no fields$/);
    expect(rest).toEqual(['']);
  });

  it('rotates to .1 … .5 and keeps no more', async () => {
    const log = fileLogger(1024);
    for (let index = 0; index < 200; index += 1) {
      log.info({ index }, 'a line of some length, so that the file fills');
      await log.flush();
    }
    const names = readdirSync(directory).sort();
    expect(names).toEqual(['gatesvr.log', ...[1, 2, 3, 4, 5].map((number) => `gatesvr.log.${number}`)]);
    for (const name of names) expect(statSync(join(directory, name)).size).toBeLessThan(1200);
    const newest = Number(/index=(\d+)\n$/.exec(read('gatesvr.log.1'))?.[1]);
    const older = Number(/index=(\d+)\n$/.exec(read('gatesvr.log.2'))?.[1]);
    expect(newest).toBeGreaterThan(older);
  });

  it('goes on without a log when the file cannot be written', async () => {
    writeFileSync(join(directory, 'file'), '');
    const log = createLogger({ level: 'info', file: join(directory, 'file', 'gatesvr.log'), maxBytes: 1024, files: 5 });
    log.info({}, 'lost');
    await log.flush();
  });
});

describe('createLogger on standard output', () => {
  it('writes JSON, and all of it before the process ends', async () => {
    const script = `import { createLogger } from ${JSON.stringify(new URL('./logger.ts', import.meta.url).href)};
      const log = createLogger({ level: 'info', file: undefined, maxBytes: 0, files: 0 });
      for (let index = 0; index < 1000; index += 1) log.info({ index }, 'line');
      await log.flush();
      process.exit(0);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    let output = '';
    for await (const chunk of child.stdout) output += String(chunk);
    const lines = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toHaveLength(1000);
    expect(lines[999]).toMatchObject({ level: 'info', index: 999, msg: 'line' });
    expect(lines[0].time).toMatch(/^\d{4}-.*Z$/);
  });
});

describe('formatLine', () => {
  it('keeps hostile values on one line', () => {
    const entry = {
      time: 'T',
      caller: 'a.ts:1',
      level: 'info',
      msg: 'a\nb',
      name: 'x\ny="z"\u202e',
      n: 5,
      o: { a: [1] },
    };
    expect(formatLine(entry)).toBe('T a.ts:1 INFO a b name="x\\ny=\\"z\\"\\u{202e}" n=5 o={"a":[1]}\n');
  });
});

describe('shorten', () => {
  it('shows short names whole and the beginning of long ones', () => {
    expect(shorten('alice')).toBe('alice');
    expect(shorten('alice-very-long')).toBe('alice-…(15)');
    expect(shorten('用户'.repeat(50))).toBe('用户用户用户…(100)');
  });
});
