import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { transformSync } from '@swc/core';
import {
  circles,
  DEMO,
  filesOfFolders,
  importsOf,
  LIMITS,
  levelOf,
  linesOfFiles,
  linesOfFunctions,
  mayImport,
  roomOf,
  type Sized,
  SRC,
  sourceFiles,
} from '../checks/house.js';

/** A room's part of the configuration. */
const SETTINGS_FILE = 'settings.ts';
/** Files besides `settings.ts` that may use the vocabulary of the configuration: texts and numbers, sections, faults. */
const READERS_OF_SETTINGS = [join('cli', 'cli.ts'), join('providers', 'channel-settings.ts')];

/** `<room>/settings.ts`. */
function isRoomSettings(file: string): boolean {
  return file === join(roomOf(file), SETTINGS_FILE);
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

  it('have no circular imports', () => {
    expect(circles(imports)).toEqual([]);
  });

  it('stay within the size limits', () => {
    for (const folder of [SRC, DEMO]) {
      const above = (all: readonly Sized[], limit: number) => all.filter(({ size }) => size > limit);
      expect(above(linesOfFiles(folder), LIMITS.linesOfFile)).toEqual([]);
      expect(above(linesOfFunctions(folder), LIMITS.linesOfFunction)).toEqual([]);
      expect(above(filesOfFolders(folder), LIMITS.filesOfFolder)).toEqual([]);
    }
  });

  it('do not import the demo, nor the demo them', () => {
    const leaving = (folder: string) =>
      sourceFiles(folder).flatMap((file) => importsOf(file, folder).filter(({ to }) => to.startsWith('..')));
    expect([...leaving(SRC), ...leaving(DEMO)]).toEqual([]);
  });

  it('are imported by the configuration only through their settings.ts', () => {
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

  it('read no environment variable outside of the configuration', () => {
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

describe('the table of bent dependencies', () => {
  const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
  const [, section = ''] = /## Where we bend a dependency\n([\s\S]*?)\n## /.exec(read('ARCHITECTURE.md')) ?? [];
  const rows = section.split('\n').filter((line) => /^\| (?!dependency)\S+ /.test(line) && line.endsWith(' |'));
  const cells = rows.map((row) => row.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));

  it('names the installed versions', () => {
    const { dependencies, devDependencies, engines } = JSON.parse(read('package.json'));
    const versions: Record<string, string> = { ...dependencies, ...devDependencies, 'Node.js': engines.node };
    for (const [dependency = ''] of cells) {
      const [, name = '', version = ''] = /^(\S+) (\S+)$/.exec(dependency) ?? [];
      expect([name, versions[name]]).toEqual([name, expect.stringContaining(version)]);
    }
  });

  it('names every canary, and no other', () => {
    const named = new Set(cells.map((row) => row.at(-1)?.replaceAll('`', '')));
    expect([...named].sort()).toEqual(readdirSync(new URL('canaries', import.meta.url)).sort());
  });
});
