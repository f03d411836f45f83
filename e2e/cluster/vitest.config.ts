import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** What needs a cluster, or the control plane of one. One file after the other: they share two nodes. */
export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['e2e/cluster/**/*.test.ts', '{operator,gateway,crds,charts,e2e/operator}/**/*.cluster.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    allowOnly: false,
  },
});
