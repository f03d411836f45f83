import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { allCapabilities } from './capabilities.ts';
import { capabilities as quiche } from './quiche/capabilities.ts';

it('documents what each implementation cannot do, and why', () => {
  const documentation = readFileSync(new URL('../../docs/transport.md', import.meta.url), 'utf8');
  const cell = (value: true | string) => (value === true ? 'yes' : `no: ${value}`);
  for (const [name, quinn] of Object.entries(allCapabilities)) {
    const row = `| ${name} | ${cell(quinn)} | ${cell(quiche[name as keyof typeof quiche])} |`;
    expect(documentation).toContain(row);
  }
});
