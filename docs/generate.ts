import { readFile, writeFile } from 'node:fs/promises';
import { capabilitiesPage } from './reference/capabilities-page.js';
import { configurationPage } from './reference/configuration-page.js';
import { metricsPage } from './reference/metrics-page.js';

/**
 * Writes the pages of this folder that are made from the code. With `--check` it writes nothing, and exits with 1 unless
 * they hold what would be written.
 */
const PAGES: Readonly<Record<string, () => string | Promise<string>>> = {
  'configuration.md': configurationPage,
  'capabilities.md': capabilitiesPage,
  'metrics.md': metricsPage,
};

const isCheck = process.argv.includes('--check');
for (const [name, write] of Object.entries(PAGES)) {
  const file = new URL(name, import.meta.url);
  const text = await write();
  if (!isCheck) {
    await writeFile(file, text);
    continue;
  }
  // A checkout on Windows may have changed the line ends.
  if ((await readFile(file, 'utf8')).replaceAll('\r\n', '\n') === text) continue;
  process.stderr.write(`docs/${name} differs from the code; update it with: npm run docs\n`);
  process.exitCode = 1;
}
