import { readFileSync } from 'node:fs';
import { validate } from 'dockerfile-utils';
import { z } from 'zod';
import { DOCKERFILE, readStages, type Stage, settingsOf } from '../support/package/dockerfile.js';
import { ROOT } from '../support/package/npm.js';

const stages = readStages();
const steps = stages.flatMap((stage) => stage.steps.map((step) => ({ ...step, stage })));
const settings = settingsOf(stages);
const manifest = z
  .object({ version: z.string(), license: z.string(), scripts: z.object({ start: z.string() }) })
  .parse(JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')));

const of = (keyword: string) => steps.filter((step) => step.keyword === keyword);
/** The commands that the shell of each RUN executes. */
const commands = of('RUN').flatMap(({ words }) => words.join(' ').split(' && '));

/** The rules of hadolint by their numbers: what breaks each, and null or nothing where it is kept. */
const RULES: Readonly<Record<string, () => readonly unknown[]>> = {
  'DL3000 DL3045, absolute WORKDIR before COPY': () => [
    ...of('WORKDIR').filter(({ words }) => !words[0]?.startsWith('/')),
    ...stages.filter(({ steps: own }) => indexOf(own, 'COPY') < indexOf(own, 'WORKDIR')),
  ],
  'DL3001 DL3003 DL3004, neither cd nor sudo nor interactive programs': () =>
    commands.filter((command) => /^(cd|sudo|ssh|vim|shutdown|service|ps|top|mount|ifconfig)\b/.test(command)),
  'DL3002, the last user is not root': () =>
    of('USER')
      .slice(-1)
      .filter(({ words }) => /^(root|0)(:|$)/.test(words[0] ?? 'root')),
  'DL3006 DL3007, tags, and none that moves between majors': () =>
    stages.filter(({ image }) => !/^[a-z]+:.+-bookworm-slim$/.test(image) || image.endsWith(':latest')),
  'DL3008, only where a comment says why': () => DOCKERFILE.match(/# hadolint ignore=(?!DL3008\n)/g) ?? [],
  'DL3009 DL3014 DL3015 DL3027, apt-get without leftovers, questions or recommendations': () =>
    of('RUN').filter(({ words }) => {
      const text = words.join(' ');
      return /\bapt\b (?!lists)/.test(text.replaceAll('apt-get', '')) || (text.includes('apt-get') && !APT.test(text));
    }),
  'DL3020 DL3021 DL4000, COPY and not ADD, into a folder where there are several sources': () => [
    ...of('ADD'),
    ...of('MAINTAINER'),
    ...of('COPY').filter(({ words }) => words.length > 2 && !words.at(-1)?.endsWith('/')),
  ],
  'DL3022 DL3023 DL3024, COPY from an earlier stage': () =>
    of('COPY').filter(({ flags, stage }) => {
      const from = flags.get('from');
      return from !== undefined && !stages.slice(0, stages.indexOf(stage)).some(({ name }) => name === from);
    }),
  'DL3025 DL4003 DL4004, one CMD and one ENTRYPOINT in the JSON form': () =>
    [of('CMD'), of('ENTRYPOINT'), of('HEALTHCHECK')].filter((all) => all.length !== 1),
  'DL3046, useradd does not write a log of every number': () =>
    commands.filter((command) => command.startsWith('useradd') && !command.includes('--no-log-init')),
  'DL3059, no RUN after a RUN': () =>
    stages.filter(({ steps: own }) =>
      own.some(({ keyword }, index) => keyword === 'RUN' && own[index + 1]?.keyword === 'RUN'),
    ),
  'DL4006, no pipe without pipefail': () => commands.filter((command) => command.includes('|')),
};
const APT =
  /apt-get update && apt-get install --yes --no-install-recommends [a-z0-9 -]+ && rm -rf \/var\/lib\/apt\/lists\/\*/;

function indexOf(own: Stage['steps'], searched: string): number {
  const index = own.findIndex(({ keyword }) => keyword === searched);
  return index === -1 ? Number.POSITIVE_INFINITY : index;
}

describe('the Dockerfile', () => {
  it('has instructions and flags that exist', () => {
    expect(validate(DOCKERFILE)).toEqual([]);
  });

  it.each(Object.entries(RULES))('keeps the rules %s', (_rule, broken) => {
    expect(broken()).toEqual([]);
  });

  it('has the version and the licence of the package, and its options of Node', () => {
    const values = Object.assign({}, ...steps.map((step) => step.values));
    expect(values).toMatchObject({ VERSION: manifest.version, 'org.opencontainers.image.licenses': manifest.license });
    const [, ...options] = manifest.scripts.start.replace('dist/main.js', '/app/dist/main.js').split(' ');
    expect([...settings.entrypoint.slice(settings.entrypoint.indexOf('node') + 1), ...settings.command]).toEqual(
      options,
    );
  });

  it('installs the programs that the server searches for', () => {
    expect(commands.find((command) => command.includes('install'))?.split(' ')).toEqual(
      expect.arrayContaining(['ffmpeg', 'libheif-examples', 'poppler-utils', 'tini']),
    );
  });

  it('copies from its context what .dockerignore leaves in it, and nothing else', () => {
    const lines = readFileSync(`${ROOT}.dockerignore`, 'utf8')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    const copied = of('COPY')
      .filter(({ flags }) => !flags.has('from'))
      .flatMap(({ words }) => words.slice(0, -1));
    expect(lines).toEqual(['*', ...lines.slice(1).filter((line) => line.startsWith('!'))]);
    expect(
      lines
        .slice(1)
        .map((line) => line.slice(1))
        .sort(),
    ).toEqual([...new Set(copied)].sort());
  });
});
