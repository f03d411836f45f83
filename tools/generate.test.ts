import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { entries } from '../gateway/config/table.ts';
import { loadConfig } from '../gateway/config.ts';
import { generatedFiles } from './generate.ts';

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');

describe('generated files', () => {
  it.each(generatedFiles().map((file) => [file.path, file.text]))(
    '%s is as npm run generate writes it',
    (path, text) => {
      expect(read(path)).toBe(text);
    },
  );
});

describe('test-config.yaml', () => {
  it('has every key and nothing else', () => {
    const written: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null || Array.isArray(node)) written.push(path);
      else for (const [name, value] of Object.entries(node)) walk(value, path === '' ? name : `${path}.${name}`);
    };
    walk(parse(read('test-config.yaml')), '');
    expect(written).toEqual(entries.map((entry) => entry.path));
  });

  it('is valid and says the defaults', () => {
    const template = loadConfig({ argv: ['--config=test-config.yaml'], env: {}, readFile: read });
    expect(template.config).toEqual(loadConfig({ argv: [], env: {}, readFile: read }).config);
  });
});
