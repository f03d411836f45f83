import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type RunningGateway, startGateway } from '../../bench/lib/gateways.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatesvr-reload-'));
const file = join(folder, 'gatesvr.yaml');
let gateway: RunningGateway;

function configure(text: string): void {
  writeFileSync(file, `overload_protection:\n  ${text}\n`);
}

async function maxQps(): Promise<unknown> {
  const answer = await fetch(`http://${gateway.httpAddress}/stats`);
  const { overload } = (await answer.json()) as { overload: { limits: Record<string, unknown> } };
  return overload.limits['max_qps'];
}

beforeAll(async () => {
  configure('max_qps: 5000');
  gateway = await startGateway([`--config=${file}`]);
});

afterAll(async () => {
  await gateway?.process.stop();
  rmSync(folder, { recursive: true });
});

it('SIGHUP puts a changed file in force; a bad one is refused by name and changes nothing', async () => {
  expect(await maxQps()).toBe(5000);
  configure('max_qps: 7000');
  process.kill(gateway.process.pid, 'SIGHUP');
  await expect.poll(maxQps, { timeout: 10_000 }).toBe(7000);
  configure('max_qps: -1');
  process.kill(gateway.process.pid, 'SIGHUP');
  await expect.poll(() => gateway.process.output, { timeout: 10_000 }).toContain('overload_protection.max_qps: -1');
  expect(await maxQps()).toBe(7000);
});
