import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ROOT, runIn } from '../support/package/npm.js';

/** Licences without conditions on our own code. */
const PERMISSIVE = [
  'MIT',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
];
/** Packages with conditions on changes of their own files, which are used unchanged and loaded from files of their own. */
const UNCHANGED: Readonly<Record<string, RegExp>> = {
  'MPL-2.0': /^mediabunny$/,
  'LGPL-3.0-or-later': /^@img\/sharp-(libvips-|wasm32|win32-)/,
};

const manifest = z.object({ dependencies: z.record(z.string(), z.string()) }).parse(JSON.parse(read('package.json')));
const entry = z.object({
  dev: z.boolean().optional(),
  link: z.boolean().optional(),
  license: z.string().optional(),
  optional: z.boolean().optional(),
});
const { packages } = z.object({ packages: z.record(z.string(), entry) }).parse(JSON.parse(read('package-lock.json')));

/** What `npm ci --omit=dev` installs on one platform or another: names and licences. */
const production = Object.entries(packages)
  .filter(([path, { dev, link }]) => path.startsWith('node_modules/') && !dev && !link)
  .map(([path, { license }]) => ({ name: path.replace(/^.*node_modules\//, ''), license: license ?? 'none' }));

function read(file: string): string {
  return readFileSync(`${ROOT}${file}`, 'utf8');
}

describe('docs/dependencies.md', () => {
  const rows = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| ([^|]+) \| [^|]+ \| [^|]+ \|$/gm)];
  const libraries = rows.filter(([, name = '']) => packages[`node_modules/${name}`]);

  it('lists every production dependency once, in order, with its licence', () => {
    const described = libraries.map(([, name = '', license = '']) => `${name}: ${license}`);
    const names = Object.keys(manifest.dependencies).sort();
    expect(described).toEqual(names.map((name) => `${name}: ${packages[`node_modules/${name}`]?.license}`));
  });
});

describe('production dependencies', () => {
  it('have licences that permit commercial use, direct or not', () => {
    const refused = production.filter(({ name, license }) => !isAllowed(name, license));
    expect(production.length).toBeGreaterThan(100);
    expect(refused).toEqual([]);
  });

  it('contain none of the packages that only the inbox needs', () => {
    const inbox = z.object({ devDependencies: z.record(z.string(), z.string()) });
    const needed = Object.keys(inbox.parse(JSON.parse(read('examples/inbox/package.json'))).devDependencies);
    const own = needed.filter((name) => !manifest.dependencies[name]);
    expect(own).toEqual(expect.arrayContaining(['react', '@apollo/client']));
    expect(production.filter(({ name }) => own.includes(name))).toEqual([]);
  });

  it('are listed by npm without a fault', async () => {
    const listed = await runIn(ROOT, 'npm ls --omit=dev --all --parseable');
    expect(
      listed.split('\n').filter((path) => /\/node_modules\/(react|@apollo\/client|vite|jest)$/.test(path)),
    ).toEqual([]);
  });

  it('are the bill of materials that npm run sbom prints', async () => {
    const component = z.object({ name: z.string(), version: z.string(), purl: z.string() });
    const bill = z
      .object({ bomFormat: z.literal('CycloneDX'), metadata: z.object({ component }), components: z.array(component) })
      .parse(JSON.parse(await runIn(ROOT, 'npm run --silent sbom')));
    expect(bill.metadata.component.name).toBe('mediagraph');
    const named = new Set(
      bill.components.map(({ purl }) => decodeURIComponent(purl).replace(/^pkg:npm\/(.*)@[^@]*$/, '$1')),
    );
    const names = new Set(production.map(({ name }) => name));
    expect([...named].filter((name) => !names.has(name))).toEqual([]);
    expect(Object.keys(manifest.dependencies).filter((name) => !named.has(name))).toEqual([]);
  });
});

/** An expression of SPDX: all of its parts, or one of its alternatives. */
function isAllowed(name: string, license: string): boolean {
  const all = license.replace(/[()]/g, '').split(' AND ');
  return all.every((part) => part.split(' OR ').some((id) => PERMISSIVE.includes(id) || UNCHANGED[id]?.test(name)));
}
