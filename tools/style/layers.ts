/** Parts of the gateway that stand side by side: none imports another (design, "Layout and imports"). */
const siblings = ['session', 'upstream', 'overload', 'auth', 'replication', 'fleet'] as const;
const base = ['transport', 'protocol', 'lib', 'gen'];
const belowGateway = ['servers', 'handlers', ...siblings, ...base];

/** What each layer may import besides itself. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  gen: [],
  lib: ['gen'],
  protocol: ['lib', 'gen'],
  transport: ['protocol', 'lib', 'gen'],
  config: ['lib'],
  ...Object.fromEntries(siblings.map((name) => [name, base])),
  handlers: [...siblings, ...base],
  servers: ['handlers', ...siblings, ...base],
  gateway: ['config', ...belowGateway],
  main: ['gateway', 'config', ...belowGateway],
  cli: ['main', 'operator', 'client', 'zone-server', 'gateway', 'config', ...belowGateway],
  client: base,
  'zone-server': ['protocol', 'lib', 'gen'],
  /** The operator knows the gateway by its messages only. */
  operator: ['gen'],
  'operator-testing': ['operator', 'gen'],
  testing: ['gateway', 'config', 'client', 'zone-server', ...belowGateway],
  tools: ['operator', 'e2e', 'bench', 'config', 'lib', 'gen'],
  fuzz: ['testing', 'client', 'zone-server', 'gateway', 'config', ...belowGateway],
  e2e: [
    'operator',
    'operator-testing',
    'bench',
    'tools',
    'testing',
    'client',
    'zone-server',
    'gateway',
    'config',
    ...belowGateway,
  ],
  bench: ['operator', 'operator-testing', 'client', 'zone-server', 'gateway', 'config', ...belowGateway],
};

/** Layers by folder; the first that fits. */
const folders: readonly (readonly [RegExp, string])[] = [
  [/^proto\/gen\//, 'gen'],
  [/^operator\/(?:.*\/)?testing\//, 'operator-testing'],
  [/^operator\//, 'operator'],
  [/^gateway\/config(?:\/|\.ts$)/, 'config'],
  [/^gateway\/main\.ts$/, 'main'],
  [/^gateway\/[^/]+\.ts$/, 'gateway'],
  [/^gateway\/(?:.*\/)?testing\//, 'testing'],
  [/^gateway\/([^/]+)\//, '$1'],
  [/^(tools|bench|e2e|fuzz)\//, '$1'],
];

/** The layer of a file, or undefined when it is of none. */
export function layerOf(path: string): string | undefined {
  for (const [pattern, layer] of folders) {
    const match = pattern.exec(path);
    if (match !== null) return layer === '$1' ? match[1] : layer;
  }
  return undefined;
}

export function mayImport(from: string, to: string): boolean {
  return from === to || (allowed[from]?.includes(to) ?? false);
}
