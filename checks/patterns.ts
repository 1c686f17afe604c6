/**
 * Fails for a pattern of the sources that takes more than linear time on some text: a stranger's text would hold the
 * process. Write such a one anew, with `indexOf` or a loop.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findPatterns, judgePatterns } from './super-linear.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.[jt]s$/.test(name))
  .map((name) => `src/${name.replaceAll('\\', '/')}`)
  .sort();
const patterns = findPatterns(files.map((file) => ({ file, text: readFileSync(root + file, 'utf8') })));
const verdicts = judgePatterns(patterns);
for (const { file, line, source, flags, fault } of verdicts)
  process.stderr.write(
    `${file}:${line} expected a pattern of linear time, got one that is ${fault}: /${source}/${flags}\n`,
  );
if (verdicts.length > 0) process.exitCode = 1;
else process.stdout.write(`${patterns.length} patterns of the sources take linear time\n`);
