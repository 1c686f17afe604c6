/**
 * Fails for a pattern of the sources that takes more than linear time on some text: a stranger's text would hold the
 * process. Write such a one anew, with `indexOf` or a loop.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type FoundPattern, findPatterns, type Verdict } from './super-linear.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.[jt]s$/.test(name))
  .map((name) => `src/${name.replaceAll('\\', '/')}`)
  .sort();
const patterns = findPatterns(files.map((file) => ({ file, text: readFileSync(root + file, 'utf8') })));
const shares = Math.min(availableParallelism(), 4);
const judged = await Promise.all(
  Array.from({ length: shares }, (_, share) => judge(patterns.filter((_pattern, at) => at % shares === share))),
);
const verdicts = judged.flat();
for (const { file, line, source, flags, fault } of verdicts)
  process.stderr.write(
    `${file}:${line} expected a pattern of linear time, got one that is ${fault}: /${source}/${flags}\n`,
  );
if (verdicts.length > 0) process.exitCode = 1;
else process.stdout.write(`${patterns.length} patterns of the sources take linear time\n`);

async function judge(share: readonly FoundPattern[]): Promise<readonly Verdict[]> {
  const worker = new Worker(new URL('./patterns-worker.ts', import.meta.url), { workerData: share });
  const [verdictsOfShare] = await once(worker, 'message');
  return verdictsOfShare;
}
