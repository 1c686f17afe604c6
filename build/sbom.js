// @ts-check
/*
 * `npm run sbom`: prints the bill of materials of the production packages, in CycloneDX's format. In the repository itself,
 * `npm sbom --omit dev` leaves out each package that a development dependency needs as well.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @type {(name: string) => any} */
const read = (name) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));

/** @type {(manifest: Record<string, unknown>) => Record<string, unknown>} */
const ofProduction = ({ devDependencies: _, workspaces: __, ...manifest }) => manifest;

const manifest = read('package.json');
const lock = read('package-lock.json');
const { '': root, ...installed } = lock.packages;
const production = Object.entries(installed).filter(
  ([path, { dev, link }]) => path.startsWith('node_modules/') && !dev && !link,
);

const scratch = mkdtempSync(join(tmpdir(), 'mediagraph-sbom-'));
try {
  // npm names the project after its folder.
  const folder = join(scratch, manifest.name);
  mkdirSync(folder);
  const packages = { '': ofProduction(root), ...Object.fromEntries(production) };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(ofProduction(manifest)));
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ ...lock, packages }));
  const options = ['--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
  execFileSync('npm', ['sbom', ...options], { cwd: folder, stdio: 'inherit' });
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
