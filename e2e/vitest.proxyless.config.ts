import { defineConfig } from 'vitest/config'

// Applications whose own gRPC library is their proxy, in a network namespace of their own: no shared mesh is needed.
// Build first (`node tools/build.mjs`).
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['src/proxyless/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
})
