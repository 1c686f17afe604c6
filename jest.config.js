import { availableParallelism } from 'node:os';

export default {
  // Most tests wait for other processes a quarter of their time; one more than there are cores uses that.
  maxWorkers: availableParallelism() + 1,
  // What a test file loaded stays in its worker's heap, and a collection of gigabytes costs more than a new worker.
  workerIdleMemoryLimit: '1GB',
  // Timing is no assertion, and machines are busy.
  testTimeout: 30_000,
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', {}] },
  moduleNameMapper: {
    '/inspection-worker-file\\.js$': '<rootDir>/test/support/inspection-worker-file.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  globalSetup: '<rootDir>/test/support/global-setup.js',
  globalTeardown: '<rootDir>/test/support/global-teardown.js',
  reporters: ['default', '<rootDir>/test/support/closing-line-reporter.js'],
};
