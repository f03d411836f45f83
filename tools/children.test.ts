import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Children } from './children.ts';

let directory: string;
let shown: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'gatesvr-children-'));
  shown = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    shown += text;
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});

function program(source: string): string {
  const path = join(directory, 'program.mjs');
  writeFileSync(path, source);
  return path;
}

const waiting = `
  setInterval(() => {}, 1000);
  process.on('SIGTERM', () => { console.log('bye'); process.exit(Number(process.argv[2] === 'failing')); });
  console.log('up', process.pid);`;

describe('Children', () => {
  it('shows what they say under their names, and stops them all', async () => {
    const children = new Children(program(waiting), 10_000);
    children.start('first', []);
    children.start('second', ['failing']);
    await vi.waitFor(() => expect(shown.match(/\| up/g)).toHaveLength(2), 10_000);
    await children.stop();
    expect(shown).toContain('first | up');
    for (const [, pid] of shown.matchAll(/up (\d+)/g)) expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
    await children.aliveFor(0);
  });

  it('fails when one ends by itself', async () => {
    const children = new Children(program('process.exit(3);'), 10_000);
    children.start('brief', []);
    await expect(children.ended).rejects.toThrow('brief ended with 3');
    await expect(children.aliveFor(10_000)).rejects.toThrow('brief ended with 3');
    await children.stop();
  });

  it('kills one that does not end in time', async () => {
    const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up');";
    const children = new Children(program(stubborn), 100);
    children.start('stubborn', []);
    await vi.waitFor(() => expect(shown).toContain('stubborn | up'), 10_000);
    await children.stop();
    expect(shown).toContain('stubborn did not end in time and is killed');
  });
});
