import { defineConfig } from 'vitest/config'

// Tests that start the demo themselves, several times and in several ways: no other mesh runs meanwhile.
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['src/resilience/demo/*.test.ts'],
    globalSetup: ['src/resilience/demo/machine-lock.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    isolate: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
})
