import { defineConfig } from 'vitest/config'

// Real processes, one mesh for all: test files run one after the other. Build first (`node tools/build.mjs`).
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['src/**/*.test.ts'],
    // Started by vitest.demo.config.ts and vitest.proxyless.config.ts: they start meshes of their own.
    exclude: ['src/resilience/demo/**', 'src/proxyless/**'],
    globalSetup: ['src/harness/global-setup.ts'],
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    isolate: false,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    teardownTimeout: 60_000,
    // A mesh that is broken fails every test by its time limit: some tell as much as all.
    bail: 8,
  },
})
