import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** Run by e2e/containers/main.ts, which sees to the images and the Docker API. */
export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['e2e/containers/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
    allowOnly: false,
  },
});
