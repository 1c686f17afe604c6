import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from '@swc/core';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));
const DEMO = fileURLToPath(new URL('../demo/src/', import.meta.url));

/**
 * The rooms from the lowest to the highest: ARCHITECTURE.md, "Rooms". A room imports from itself and from rooms of the lines
 * above its own; rooms of one line never import one another. `main` is main.ts.
 */
const LEVELS: readonly (readonly string[])[] = [
  ['model'],
  ['settings'],
  ['streams', 'telemetry'],
  ['net'],
  ['http'],
  ['database'],
  ['jobs', 'storage', 'rendering', 'providers'],
  ['catalogue'],
  ['renditions'],
  ['inspection', 'links'],
  ['media'],
  ['delivery'],
  ['graphql', 'server'],
  ['config'],
  ['app'],
  ['cli'],
  ['main'],
];

/** Rooms that know less than their level would allow. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  database: ['telemetry', 'settings', 'model'],
  jobs: ['database', 'telemetry', 'model'],
  catalogue: ['jobs', 'database', 'telemetry', 'model'],
  providers: ['net', 'streams', 'telemetry', 'settings', 'model'],
  storage: ['streams', 'telemetry', 'settings', 'model'],
  rendering: ['streams', 'telemetry', 'settings', 'model'],
  links: ['settings', 'model'],
};

/** A room's part of the configuration. */
const SETTINGS_FILE = 'settings.ts';
/** Files besides `settings.ts` that may use the vocabulary of the configuration: texts and numbers, sections, faults. */
const READERS_OF_SETTINGS = [join('cli', 'cli.ts'), join('providers', 'channel-settings.ts')];

interface Import {
  readonly from: string;
  readonly to: string;
}

function sourceFiles(folder = SRC): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
}

function roomOf(file: string): string {
  return file.includes(sep) ? (file.split(sep)[0] ?? '') : 'main';
}

function levelOf(room: string): number {
  return LEVELS.findIndex((rooms) => rooms.includes(room));
}

/** `<room>/settings.ts`. */
function isRoomSettings(file: string): boolean {
  return file === join(roomOf(file), SETTINGS_FILE);
}

function mayImport(room: string, other: string): boolean {
  return room === other || (levelOf(other) < levelOf(room) && (ONLY[room]?.includes(other) ?? true));
}

/** Type imports count too: a room that names another's types knows it. */
function importsOf(file: string, folder = SRC): Import[] {
  const text = readFileSync(join(folder, file), 'utf8');
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(
    ([, specifier]) => specifier ?? '',
  );
  return specifiers.map((specifier) => ({
    from: file,
    to: relative(folder, resolve(dirname(join(folder, file)), specifier)).replace(/\.js$/, '.ts'),
  }));
}

describe('the rooms', () => {
  const imports = sourceFiles().flatMap((file) => importsOf(file));

  it('are all known', () => {
    expect(
      sourceFiles()
        .map(roomOf)
        .filter((room) => levelOf(room) < 0),
    ).toEqual([]);
  });

  it('import from themselves and from rooms below only', () => {
    expect(imports.filter(({ from, to }) => !mayImport(roomOf(from), roomOf(to)))).toEqual([]);
  });

  it('import nothing in circles', () => {
    expect(circles(imports)).toEqual([]);
  });

  it('know nothing of the demo, nor the demo of them', () => {
    const leaving = (folder: string) =>
      sourceFiles(folder).flatMap((file) => importsOf(file, folder).filter(({ to }) => to.startsWith('..')));
    expect([...leaving(SRC), ...leaving(DEMO)]).toEqual([]);
  });

  it('give the configuration their settings.ts and nothing else', () => {
    const fromConfig = imports.filter(({ from, to }) => roomOf(from) === 'config' && roomOf(to) !== 'config');
    expect(fromConfig.filter(({ to }) => roomOf(to) !== 'settings' && !isRoomSettings(to))).toEqual([]);
    const unread = sourceFiles().filter((file) => isRoomSettings(file) && !fromConfig.some(({ to }) => to === file));
    // `links` declares keys of the section `delivery`.
    expect(unread).toEqual([join('links', SETTINGS_FILE)]);
  });

  it('use the vocabulary of the configuration in their settings.ts only', () => {
    const others = imports.filter(
      ({ from, to }) =>
        roomOf(to) === 'settings' &&
        !['settings', 'config'].includes(roomOf(from)) &&
        basename(from) !== SETTINGS_FILE &&
        !READERS_OF_SETTINGS.includes(from),
    );
    expect(others).toEqual([]);
  });

  it('leave the environment to the configuration', () => {
    const readers = sourceFiles().filter((file) => /process\.env\b/.test(withoutTypesAndComments(file)));
    expect(readers).toEqual([join('config', 'config.ts')]);
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
