import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Ends a jest run, after jest's own summary, with the one line that CI reads: "N passed, N failed". Where the variable
 * TEST_LEFT_OUT names a folder, it gets what was left out for want of a program or a server, for a run of just that:
 * `files` has the test files, each on a line, and `names` a pattern of their tests.
 */
export default class ClosingLineReporter {
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const { TEST_LEFT_OUT } = process.env;
    if (TEST_LEFT_OUT) writeLeftOut(TEST_LEFT_OUT, results.testResults);
    process.once('exit', () => process.stderr.write(`\n${results.numPassedTests} passed, ${failed} failed\n`));
  }
}

function writeLeftOut(folder, suites) {
  const touched = suites.filter(({ numPendingTests, skipped }) => numPendingTests > 0 || skipped);
  const names = new Set(touched.flatMap(({ testResults }) => patternsOfPending(testResults)));
  writeFileSync(join(folder, 'files'), touched.map(({ testFilePath }) => `${testFilePath}\n`).join(''));
  writeFileSync(join(folder, 'names'), `^(${[...names].join('|')})`);
}

/** The title of a group stands for all its tests if none of them ran. */
function patternsOfPending(tests) {
  const isPending = ({ status }) => status === 'pending';
  const groupsThatRan = new Set(tests.filter((test) => !isPending(test)).map(({ ancestorTitles: [group] }) => group));
  return tests.filter(isPending).map(({ ancestorTitles: [group], fullName }) => {
    const isWhole = group !== undefined && !groupsThatRan.has(group);
    return isWhole ? `${escaped(group)} ` : `${escaped(fullName)}$`;
  });
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
