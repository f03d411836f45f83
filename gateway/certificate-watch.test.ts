import { describe, expect, it, vi } from 'vitest';
import { certificateFiles, watchFiles } from './certificate-watch.ts';
import { loadConfig } from './config.ts';

describe('certificate files', () => {
  it('are those that the configuration names', () => {
    const argv = ['--cert-file=c', '--key-file=k', '--grpc-cert-file=gc', '--grpc-key-file=gk', '--ca-file=a'];
    const { config } = loadConfig({ argv, env: {}, readFile: () => '' });
    expect(certificateFiles(config)).toEqual(['c', 'k', 'gc', 'gk', 'a']);
  });

  it('that change are told of once, and one that is gone for a moment is no reason to fail', () => {
    vi.useFakeTimers();
    const files = new Map([
      ['a', 'one'],
      ['b', 'two'],
    ]);
    const read = (path: string): string => {
      const text = files.get(path);
      if (text === undefined) throw new Error('ENOENT');
      return text;
    };
    const changed = vi.fn();
    const stop = watchFiles(['a', 'b'], read, changed, 1_000);
    vi.advanceTimersByTime(3_000);
    expect(changed).not.toHaveBeenCalled();
    files.set('b', 'three');
    vi.advanceTimersByTime(3_000);
    expect(changed).toHaveBeenCalledTimes(1);
    files.delete('a');
    vi.advanceTimersByTime(1_000);
    expect(changed).toHaveBeenCalledTimes(2);
    files.set('a', 'one');
    vi.advanceTimersByTime(1_000);
    expect(changed).toHaveBeenCalledTimes(3);
    stop();
    files.set('b', 'four');
    vi.advanceTimersByTime(5_000);
    expect(changed).toHaveBeenCalledTimes(3);
    vi.useRealTimers();
  });
});
