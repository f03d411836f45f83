import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { complaintsAbout, fileLength } from './style/rules.ts';
import { parseSource } from './style/source-file.ts';

const root = new URL('../', import.meta.url);

function tracked(...patterns: string[]): { path: string; text: string }[] {
  const listed = execFileSync('git', ['ls-files', '--', ...patterns], { cwd: root, encoding: 'utf8' });
  const paths = listed
    .split('\n')
    .filter((path) => /^(?:gateway|operator|tools|bench|e2e|fuzz)\//.test(path) && !isGenerated(path));
  return paths.map((path) => ({ path, text: readFileSync(new URL(path, root), 'utf8') }));
}

function isGenerated(path: string): boolean {
  return path.includes('/gen/') || path.startsWith('operator/api/');
}

describe('the sources', () => {
  it('keep the rules of the house', () => {
    const files = tracked('*.ts').map(({ path, text }) => parseSource(path, text));
    expect(files.length).toBeGreaterThan(50);
    expect(complaintsAbout(files)).toEqual([]);
  });

  it('keep the length of files in Rust and Go too', () => {
    expect(tracked('*.rs', '*.go').flatMap(({ path, text }) => fileLength(path, text))).toEqual([]);
  });
});

/** Complaints about files given as path and text. */
function about(sources: Record<string, string>): string[] {
  return complaintsAbout(Object.entries(sources).map(([path, text]) => parseSource(path, text)));
}

describe('the rules', () => {
  it('find nothing in good files', () => {
    const good = {
      'gateway/session/a.ts':
        "import { b } from './b.ts';\nimport type { C } from '../lib/c.ts';\nexport const a = (c: C) => b(c);\n",
      'gateway/session/b.ts': 'export const b = (value: unknown) => value;\n',
      'gateway/session/a.test.ts':
        "import { x } from '../testing/x.ts';\nconst now = Date.now();\nit('works', () => x(now));\n",
      'gateway/replication/link.ts': "import { Client } from '@grpc/grpc-js';\nsetTimeout(() => Client, 1);\n",
      'gateway/main.ts': "import './gateway.ts';\nconsole.log(process.env.HOME, Date.now());\n",
      'gateway/handlers/h.ts':
        "import { a } from '../session/a.ts';\nexport const h = (date: Date) => a({ date, setTimeout: 1 });\n",
    };
    expect(about(good)).toEqual([]);
  });

  it.each([
    ['gateway/session/a.ts', "import { r } from '../upstream/router.ts';", 'session imports upstream'],
    ['gateway/session/a.ts', "import type { R } from '../replication/r.ts';", 'session imports replication'],
    ['gateway/session/a.ts', "export { R } from '../auth/r.ts';", 'session imports auth'],
    ['gateway/lib/a.ts', "const x = await import('../protocol/codec.ts');", 'lib imports protocol'],
    ['gateway/handlers/a.ts', "import '../servers/http-server.ts';", 'handlers imports servers'],
    ['gateway/client/a.ts', "import '../session/session.ts';", 'client imports session'],
    ['gateway/zone-server/a.ts', "import '../transport/transport.ts';", 'zone-server imports transport'],
    ['gateway/gateway.ts', "import './testing/clock.ts';", 'gateway imports testing'],
    ['gateway/gateway.ts', "import './main.ts';", 'gateway imports main'],
    ['gateway/lib/a.ts', "import '../../operator/main.ts';", 'lib imports operator'],
    ['other/a.ts', '', 'no layer'],
    ['gateway/servers/a.ts', 'const x = process.env.HOME;', 'process.env outside main and cli'],
    ['gateway/servers/a.ts', 'const { now } = { now: Date.now() };', 'Date.now outside'],
    ['gateway/servers/a.ts', 'const x = new Date();', 'new Date() outside'],
    ['gateway/upstream/a.ts', 'performance.now();', 'performance.now outside'],
    ['gateway/session/a.ts', 'setTimeout(() => {}, 1);', 'setTimeout outside'],
    ['gateway/overload/a.ts', 'const x = Math.random();', 'Math.random outside'],
    ['gateway/lib/a.ts', `// TO${'DO'}: later`, 'unfinished'],
    ['gateway/lib/a.ts', `// @ts-${'ignore'}\nconst a = 1;`, 'silenced'],
    ['gateway/lib/a.ts', 'const a = b as any;', 'any: use unknown'],
    ['gateway/lib/a.ts', 'function f(a: any[]) {}', 'any: use unknown'],
    ['gateway/lib/a.test.ts', "it.only('x', () => {});", 'it.only'],
    ['gateway/lib/a.test.ts', "describe.skip('x', () => {});", 'describe.skip'],
    ['gateway/lib/a.ts', '\n'.repeat(301), '301 lines: at most 300'],
    ['gateway/lib/a.ts', `const f = () => {${'\n'.repeat(60)}};`, 'function of 61 lines: at most 60'],
    ['gateway/lib/a.ts', `class A { m() {${'\n'.repeat(60)}} }`, 'function of 61 lines'],
    ['gateway/lib/a.test.ts', `it('x', () => {${'\n'.repeat(60)}});`, 'function of 61 lines'],
  ])('%s with %j: %s', (path, text, expected) => {
    expect(about({ [path]: text }).join('\n')).toContain(expected);
  });

  it('let functions that group tests be long', () => {
    const long = `it.each([1])('x', () => {});${'\n'.repeat(90)}`;
    expect(about({ 'gateway/lib/a.test.ts': `describe('x', () => {${long}});` })).toEqual([]);
    expect(about({ 'gateway/lib/testing/suite.ts': `export function suite() {${long}}` })).toEqual([]);
  });

  it('find cycles at run time, and no others', () => {
    const cycle = {
      'gateway/lib/a.ts': "import './b.ts';",
      'gateway/lib/b.ts': "import './c.ts';",
      'gateway/lib/c.ts': "import './a.ts';",
    };
    const chain = 'gateway/lib/a.ts → gateway/lib/b.ts → gateway/lib/c.ts → gateway/lib/a.ts';
    expect(about(cycle)).toEqual([`gateway/lib/a.ts:1: import cycle: ${chain}`]);
    expect(about({ ...cycle, 'gateway/lib/c.ts': "import type { A } from './a.ts';" })).toEqual([]);
  });
});
