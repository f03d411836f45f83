import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import { describe, expect, it, vi } from 'vitest';

/** As much of the page as the script touches. */
class FakeElement {
  textContent = '';
  className = '';
  children: FakeElement[] = [];

  append(...added: FakeElement[]): void {
    this.children.push(...added);
  }

  replaceChildren(...children: FakeElement[]): void {
    this.children = children;
  }

  get text(): string {
    return [this.textContent, ...this.children.map((child) => child.text)].filter((text) => text !== '').join(' ');
  }
}

/** Runs the console's script once against these answers. @returns the text below the element with an id. */
function show(answers: Record<string, unknown>): (id: string) => string {
  const elements = new Map<string, FakeElement>();
  const elementOf = (id: string) => {
    const element = elements.get(id) ?? new FakeElement();
    elements.set(id, element);
    return element;
  };
  const context = createContext({
    document: { getElementById: elementOf, createElement: () => new FakeElement() },
    fetch: async (path: string) => {
      if (!(path in answers)) throw new Error('refused');
      return { json: async () => answers[path] };
    },
    setTimeout: () => {},
    AbortSignal,
    Intl,
  });
  runInContext(readFileSync(new URL('./console.js', import.meta.url), 'utf8'), context);
  return (id) => elementOf(id).text;
}

const answers = {
  '/health': { server_id: 'gate-001', version: '1.2.3', role: 'primary', epoch: 5 },
  '/ready': { status: 'ready' },
  '/performance': {
    qps: 1234.5,
    latency_ms: { p50: 1, p90: 2, p99: 3.25, max: 40 },
    throughput_bytes_per_second: { in: 2048, out: 4096 },
  },
  '/stats': {
    connections: 10,
    sessions: 12,
    zones: {
      '002': { sessions: 0, endpoints: [] },
      '001': { sessions: 7, endpoints: [{ address: '<b>host:1</b>', healthy: false, in_flight: 3 }] },
    },
    queue: { messages: 4, bytes: 1024 },
    overload: { state: 'warn' },
    shards: [{ id: 's0', role: 'primary', epoch: 5, log_index: 9, commit_index: 8, in_sync: ['a', 'b'] }],
  },
};

describe('the console', () => {
  it('shows figures, zones and shards', async () => {
    const text = show(answers);
    await vi.waitFor(() => expect(text('state')).toBe('primary, epoch 5, ready'));
    expect(text('server')).toBe('gate-001 1.2.3');
    expect(text('figures')).toContain('requests a second 1,234.5');
    expect(text('figures')).toContain('overload warn');
    expect(text('zones')).toBe('001 7 <b>host:1</b> unhealthy 3 002 0 none');
    expect(text('shards')).toBe('s0 primary 5 9 8 a, b');
  });

  it('says why the gateway is not ready', async () => {
    const text = show({ ...answers, '/ready': { status: 'not ready', reasons: ['draining'] } });
    await vi.waitFor(() => expect(text('state')).toBe('primary, epoch 5, not ready: draining'));
  });

  it('says when nobody answers', async () => {
    const text = show({});
    await vi.waitFor(() => expect(text('state')).toBe('no answer from the gateway'));
  });
});
