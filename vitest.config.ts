import { defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: { conditions: ['source'] },
  ssr: { resolve: { conditions: ['source'] } },
  test: {
    include: ['**/src/**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'e2e/**'],
    isolate: false,
    pool: 'threads',
    maxWorkers: 2,
    // Machines are slow now and then; no test measures time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
})
