import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'gateway/**/*.test.ts',
      'operator/**/*.test.ts',
      'tools/**/*.test.ts',
      'bench/**/*.test.ts',
      'e2e/**/*.test.ts',
      'fuzz/**/*.test.ts',
    ],
    // What needs Kubernetes is run by `make e2e`, with e2e/cluster/vitest.config.ts; containers by `make e2e-containers`.
    exclude: [
      '**/node_modules/**',
      '**/target/**',
      'dist/**',
      'e2e/cluster/**',
      'e2e/containers/**',
      '**/*.cluster.test.ts',
    ],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    allowOnly: false,
  },
});
