import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/core';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));

/**
 * The rooms and whom each may import from, besides itself: ARCHITECTURE.md, "Rooms". `config` is the configuration,
 * which knows what each provider's channels look like; `root` is what composes them: main.ts, app.ts, stores.ts, jobs.ts.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  telemetry: ['model'],
  net: ['model', 'telemetry'],
  providers: ['net', 'telemetry', 'model'],
  storage: ['net', 'telemetry', 'model'],
  catalogue: ['net', 'telemetry', 'model'],
  rendering: ['net', 'telemetry', 'model'],
  media: ['providers', 'storage', 'catalogue', 'rendering', 'net', 'telemetry', 'model'],
  graphql: ['media', 'providers', 'net', 'telemetry', 'model'],
  server: ['media', 'providers', 'net', 'telemetry', 'model'],
  emulators: ['model'],
  config: ['providers', 'model'],
  cli: ['root', 'config', 'telemetry', 'model', 'emulators', 'graphql', 'media'],
  root: [
    'cli',
    'config',
    'graphql',
    'server',
    'media',
    'providers',
    'storage',
    'catalogue',
    'rendering',
    'net',
    'telemetry',
    'model',
  ],
};

interface Import {
  readonly from: string;
  readonly to: string;
}

function sourceFiles(): string[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
}

function roomOf(file: string): string {
  if (file === 'config.ts') return 'config';
  return file.includes(sep) ? (file.split(sep)[0] ?? '') : 'root';
}

/** Type imports count too: a room that names another's types knows it. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(
    ([, specifier]) => specifier ?? '',
  );
  return specifiers.map((specifier) => ({
    from: file,
    to: relative(SRC, resolve(dirname(join(SRC, file)), specifier)).replace(/\.js$/, '.ts'),
  }));
}

describe('the rooms', () => {
  const imports = sourceFiles().flatMap(importsOf);

  it('are all known', () => {
    expect(
      sourceFiles()
        .map(roomOf)
        .filter((room) => !(room in MAY_IMPORT)),
    ).toEqual([]);
  });

  it('import from themselves and from rooms below only', () => {
    const forbidden = imports.filter(
      ({ from, to }) => roomOf(from) !== roomOf(to) && !MAY_IMPORT[roomOf(from)]?.includes(roomOf(to)),
    );
    expect(forbidden).toEqual([]);
  });

  it('import nothing in circles', () => {
    expect(circles(imports)).toEqual([]);
  });

  it('are entered by the demo alone where the emulators are', () => {
    const users = imports
      .filter(({ from, to }) => roomOf(to) === 'emulators' && roomOf(from) !== 'emulators')
      .map(({ from }) => from);
    expect(users.every((file) => /^cli[/\\]demo/.test(file))).toBe(true);
  });

  it('leave the environment to the configuration', () => {
    const readers = sourceFiles().filter((file) => /process\.env\b/.test(withoutTypesAndComments(file)));
    expect(readers).toEqual(['config.ts']);
  });

  it('never call the global fetch', () => {
    expect(sourceFiles().filter((file) => /(?<![.\w#])fetch\(/.test(withoutTypesAndComments(file)))).toEqual([]);
  });
});

function withoutTypesAndComments(file: string): string {
  const { code } = transformSync(readFileSync(join(SRC, file), 'utf8'), {
    filename: file,
    swcrc: false,
    sourceMaps: false,
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      target: 'es2022',
      minify: { format: { comments: false } },
    },
  });
  return code;
}

function circles(imports: readonly Import[]): string[][] {
  const next = groupByFrom(imports);
  const done = new Set<string>();
  const found: string[][] = [];
  const walk = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) found.push([...trail.slice(trail.indexOf(file)), file]);
    if (trail.includes(file) || done.has(file)) return;
    for (const { to } of next.get(file) ?? []) walk(to, [...trail, file]);
    done.add(file);
  };
  for (const file of next.keys()) walk(file, []);
  return found;
}

function groupByFrom(imports: readonly Import[]): Map<string, Import[]> {
  const groups = new Map<string, Import[]>();
  for (const one of imports) groups.set(one.from, [...(groups.get(one.from) ?? []), one]);
  return groups;
}
