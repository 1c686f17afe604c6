// @ts-check
/*
 * The second step of `npm run build`: joins the modules that tsc wrote, and the libraries that they import, into few
 * files below `dist/`. A start opens two dozen files instead of two thousand. See build/README.md.
 */
import { readFile, rm } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { notices } from './notices.js';
import { templateDigest, writeTemplate } from './template.js';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const MODULES = fileURLToPath(new URL('../node_modules/.cache/mediagraph-modules/', import.meta.url));
const DIST = fileURLToPath(new URL('../dist/', import.meta.url));

/** What each file of the bundle calls the address of `dist/`. */
const DIST_URL = '__distUrl';

/** Files that something else than an import opens: the command, threads and processes. */
const ENTRIES = [
  'main',
  'database/embedded/worker',
  'inspection/threads/worker',
  'rendering/pictures/picture-worker',
  'telemetry/watchdog-worker',
];

/**
 * Libraries that read files of their own, are native, or are large and rarely used; one that is not installed; and those
 * whose licence is not permissive (mediabunny).
 */
const EXTERNAL = [
  /^@electric-sql\/pglite/,
  'sharp',
  /^@aws-sdk\//,
  '@graphql-yoga/render-graphiql',
  'mediabunny',
  'class-validator',
  '#demo',
];

/**
 * Our modules find files by their own address, which is the same in `src/` and in `dist/`. In the bundle a module has no
 * file, so that it is told the address that it would have.
 * @type {(modules: string, digest: string) => import('rolldown').Plugin}
 */
function ownModules(modules, digest) {
  const digestModule = `${modules}database/embedded/template-digest.js`;
  return {
    name: 'own-modules',
    async load(id) {
      if (!id.startsWith(modules)) return null;
      if (id === digestModule) return `export const TEMPLATE_DIGEST = ${JSON.stringify(digest)};`;
      const code = await readFile(id, 'utf8');
      const place = relative(modules, id).split(sep).join('/');
      const map = await readFile(`${id}.map`, 'utf8').catch(() => null);
      return {
        code: code.replaceAll('import.meta.url', `new URL('${place}', ${DIST_URL}).href`),
        map: map === null ? null : JSON.parse(map),
      };
    },
  };
}

/**
 * V8 keeps a source with any character beyond Latin-1 in two bytes a character, and reads it half as fast. Lines stay where
 * they are.
 * @returns {import('rolldown').Plugin}
 */
function asciiOnly() {
  const escaped = (/** @type {string} */ unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return {
    name: 'ascii-only',
    generateBundle(_options, files) {
      for (const file of Object.values(files))
        if (file.type === 'chunk') file.code = file.code.replace(/[^\0-\x7f]/g, escaped);
    },
  };
}

/**
 * @param {string} modules the folder of the compiled modules, with a slash at its end; libraries are looked up from there
 * @param {string} dist where the bundle and the template are written, with a slash at its end
 */
export async function bundle(modules, dist) {
  const digest = await templateDigest(modules);
  const bundled = await rolldown({
    input: Object.fromEntries(ENTRIES.map((name) => [name, `${modules}${name}.js`])),
    platform: 'node',
    external: EXTERNAL,
    plugins: [ownModules(modules, digest), asciiOnly(), notices(ROOT)],
    resolve: { mainFields: ['main', 'module'] },
    onLog(level, log, handler) {
      if (log.code !== 'EVAL') handler(level, log);
    },
  });
  await rm(dist, { recursive: true, force: true });
  await bundled.write({
    dir: dist,
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    keepNames: true,
    comments: { legal: true, annotation: false, jsdoc: false },
    banner: ({ fileName }) =>
      `const ${DIST_URL} = new URL('${'../'.repeat(fileName.split('/').length - 1) || './'}', import.meta.url);`,
  });
  await bundled.close();
  await writeTemplate(modules, `${dist}database/embedded/`, digest);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle(MODULES, DIST);
