import { describe, expect, it } from 'vitest';
import { formatAddress, isLoopback, parseAddress } from './address.ts';

describe('parseAddress', () => {
  it.each([
    [':8453', { host: '', port: 8453 }],
    ['0.0.0.0:8453', { host: '0.0.0.0', port: 8453 }],
    ['[::1]:8453', { host: '::1', port: 8453 }],
    ['[fe80::1%eth0]:1', { host: 'fe80::1%eth0', port: 1 }],
    ['localhost:9001', { host: 'localhost', port: 9001 }],
    [':0', { host: '', port: 0 }],
  ])('reads %s, and writes it again', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
    expect(formatAddress(address)).toBe(text);
  });

  it.each(['', '8453', ':', 'a:', ':65536', '::1:8453', '[::1]', '[]:1', 'a b:1', 'http://a:1', 'a/b:1', ':1 ', ':-1'])(
    'refuses %j',
    (text) => {
      expect(parseAddress(text)).toBeUndefined();
    },
  );
});

describe('isLoopback', () => {
  it('knows what stays on this machine', () => {
    expect(['localhost', '127.0.0.1', '127.1.2.3', '::1'].map(isLoopback)).toEqual([true, true, true, true]);
    expect(['', '0.0.0.0', '::', '10.0.0.1', '127.evil.example'].map(isLoopback)).toEqual(Array(5).fill(false));
  });
});
