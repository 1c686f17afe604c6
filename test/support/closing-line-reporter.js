import { writeFileSync } from 'node:fs';

/**
 * Ends a jest run, after jest's own summary, with the one line that CI reads: "N passed, N failed". Where the variable
 * TEST_LEFT_OUT names a file, it gets the test files of which something was left out for want of a program or a server,
 * each on a line.
 */
export default class ClosingLineReporter {
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const { TEST_LEFT_OUT } = process.env;
    if (TEST_LEFT_OUT) writeFileSync(TEST_LEFT_OUT, leftOutOf(results));
    process.once('exit', () => process.stderr.write(`\n${results.numPassedTests} passed, ${failed} failed\n`));
  }
}

function leftOutOf({ testResults }) {
  const files = testResults.filter(({ numPendingTests, skipped }) => numPendingTests > 0 || skipped);
  return files.map(({ testFilePath }) => `${testFilePath}\n`).join('');
}
