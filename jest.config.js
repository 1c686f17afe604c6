export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', {}] },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  globalSetup: '<rootDir>/test/support/database-template.js',
  globalTeardown: '<rootDir>/test/support/remove-database-template.js',
  reporters: ['default', '<rootDir>/test/support/closing-line-reporter.js'],
};
