import { describe, expect, it } from 'vitest';
import { corpusFolder, readInputs } from './corpus.ts';
import { blockCoverage, type Coverage } from './coverage.ts';
import { Fuzzer } from './fuzzer.ts';
import { targets } from './targets.ts';

const blind: Coverage = { take: () => new Set(), close: () => {} };

describe('the fuzzer', () => {
  it('finds what lies behind several conditions, by coverage', () => {
    // One block for each further byte that is right, as the code of the target would have.
    let ran = new Set<string>();
    const coverage: Coverage = {
      take: () => {
        const taken = ran;
        ran = new Set();
        return taken;
      },
      close: () => {},
    };
    const target = (input: Uint8Array) => {
      const wanted = [0x47, 0x41, 0x54, 0x45];
      const wrong = wanted.findIndex((byte, index) => input[index] !== byte);
      for (let right = 0; right < wrong; right += 1) ran.add(`${right}`);
      if (wrong < 0) throw new Error('found');
    };
    const fuzzer = new Fuzzer({ target, corpus: [], seed: 7, inputBytesMax: 16, coverage, batch: 8 });
    let finding = fuzzer.step();
    while (finding === undefined && fuzzer.runs < 1_000_000) finding = fuzzer.step();
    expect(finding?.error).toEqual(new Error('found'));
    expect(fuzzer.kept.length).toBeGreaterThanOrEqual(3);
  });

  it('sees that code ran which had not run before', () => {
    const coverage = blockCoverage();
    const run = (address: string) => {
      targets.get('addresses')?.(Buffer.from(address));
      return coverage.take();
    };
    const plain = run('192.0.2.1');
    const news = (address: string) => [...run(address)].filter((block) => !plain.has(block));
    expect(news('192.0.2.2')).toEqual([]);
    expect(news('2001:db8::1').length).toBeGreaterThan(0);
    coverage.close();
  });
});

describe.each([...targets])('%s', (name, target) => {
  it('takes its corpus and a thousand inputs made from it', () => {
    const corpus = readInputs(corpusFolder, name);
    expect(corpus.length).toBeGreaterThan(0);
    const fuzzer = new Fuzzer({ target, corpus, seed: 1, inputBytesMax: 1024, coverage: blind, batch: 100 });
    let finding = fuzzer.replay();
    while (finding === undefined && fuzzer.runs < 1000) finding = fuzzer.step();
    expect(finding?.error).toBeUndefined();
  });
});
