import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Reply } from '../http-listener.ts';

function asset(name: string): string {
  return readFileSync(new URL(name, import.meta.url), 'utf8');
}

const style = asset('./console.css');
const script = asset('./console.js');

function sourceHash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** A page that shows /health, /stats and /performance, live; one reply, nothing loaded from elsewhere. */
export const consolePage: Reply = {
  status: 200,
  contentType: 'text/html; charset=utf-8',
  body: asset('./console.html')
    .replace('/*style*/', () => style)
    .replace('/*script*/', () => script),
  headers: {
    'Content-Security-Policy': `default-src 'none'; connect-src 'self'; style-src ${sourceHash(style)}; script-src ${sourceHash(script)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    'Referrer-Policy': 'no-referrer',
  },
};
