/**
 * The topology of a cluster as real processes: three replicas, PostgreSQL, an S3 server, nginx, the providers. Load all
 * along, and every kind of fault. `TEST_LONG=1` runs ten minutes in place of one; `TEST_SEED` repeats the plan of a run
 * whose seed stands in the name of the test; `TEST_REPORT` names a file that gets the figures.
 */
import { randomBytes } from 'node:crypto';
import { postgresPrograms } from '../support/cluster/own-postgres.js';
import { textOf, writeReport } from '../support/cluster/report.js';
import { soak } from '../support/cluster/soak.js';
import { isInstalled } from '../support/installed-tools.js';

const SEED = process.env.TEST_SEED ?? randomBytes(4).toString('hex');
const IS_LONG = process.env.TEST_LONG === '1';
const TEST_MS = (IS_LONG ? 35 : 12) * 60_000;

const programs = await postgresPrograms();
const missing = [
  ...((await isInstalled('nginx', '-v')) ? [] : ['nginx']),
  ...(programs === null ? ['the programs of PostgreSQL'] : []),
];
// What is left out counts as skipped.
const describeCluster = missing.length === 0 ? describe : describe.skip;
if (missing.length > 0)
  console.info(`a cluster under faults is not tested, because ${missing.join(' and ')} is not here`);

describeCluster('three replicas on PostgreSQL and S3 behind nginx', () => {
  it(
    `keep what they promised, whatever happens to them (seed ${SEED})`,
    async () => {
      const report = await soak({ programs: programs ?? '', seed: SEED, isLong: IS_LONG });
      await writeReport(report);
      if (report.violations.length > 0 || IS_LONG) console.info(textOf(report));
      expect(report.violations).toEqual([]);
      const { announced, listed, uploaded, deleted } = report.media;
      expect(Math.min(...[announced, listed, uploaded, deleted].map((count) => count ?? 0))).toBeGreaterThan(0);
    },
    TEST_MS,
  );
});
