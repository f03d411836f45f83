import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { processesUnder } from './process-identity.ts';
import { RunFolder } from './run-folder.ts';

/** Makes a run that starts a program which names the run's folder, says where, and waits. */
const aborted = `
  import { RunFolder } from ${JSON.stringify(join(import.meta.dirname, 'run-folder.ts'))};
  const folder = await RunFolder.claim(['test-' + process.pid]);
  folder.start('sleep', 'sh', ['-c', 'sleep 1000 & wait', folder.file('it')]);
  console.log(folder.path);
  setInterval(() => {}, 1000);
`;

async function abortedRun(): Promise<string> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', aborted], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  const { value } = await lines[Symbol.asyncIterator]().next();
  const ended = new Promise((resolve) => child.on('exit', resolve));
  child.kill('SIGKILL');
  await ended;
  return String(value);
}

it('what a killed run left is ended and removed by the next one', async () => {
  const path = await abortedRun();
  expect(processesUnder(path).length).toBeGreaterThan(0);
  const next = await RunFolder.claim([`test-next-${process.pid}`]);
  expect(existsSync(path)).toBe(false);
  expect(processesUnder(path)).toEqual([]);
  expect(existsSync(next.path)).toBe(true);
  await next.remove();
});

it('a run whose process lives is left alone', async () => {
  const first = await RunFolder.claim([`test-first-${process.pid}`]);
  const second = await RunFolder.claim([`test-first-${process.pid}`, `test-second-${process.pid}`]);
  expect(second.name).toBe(`test-second-${process.pid}`);
  expect(existsSync(first.path)).toBe(true);
  await Promise.all([first.remove(), second.remove()]);
});
