import { readdir, readFile } from 'node:fs/promises';
import { composeServices } from '@apollo/composition';
import {
  buildSchema,
  type DocumentNode,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  parse,
  print,
  validate,
} from 'graphql';
import { parse as parseYaml } from 'yaml';
import { parseConfig } from '../../src/config/config.js';
import { printSubgraphSdl } from '../../src/graphql/build-schema.js';
import { isInstalled } from '../support/installed-tools.js';
import { type Fence, fencesOf, placeOf, prints } from './fences.js';
import { compiled, runModule, runShell } from './programs.js';
import { World } from './world.js';

/**
 * Every example of the README and of the guides. The language and the words after it say how one is run; a combination that
 * nothing here knows is a failure, so that no example stands there unrun.
 */
const ROOT = new URL('../../', import.meta.url);
const PAGES = ['README.md', ...(await pagesOf('docs/'))];
const FENCES = (await Promise.all(PAGES.map(fencesOf))).flat();

/** What cannot be run here, each for a reason: programs of others, and consoles of providers. */
const NOT_RUN = [
  'docs/container.md: docker build --tag mediagraph --build-arg REVISION="$(git rev-parse HEAD)" .',
  'docs/container.md: docker run --rm --env-file mediagraph.env --volume ./mediagraph.yaml:/etc/mediagraph/config.yaml:ro mediagraph check-config',
  'docs/operations.md: npm install @opentelemetry/sdk-node',
  'docs/operations.md: // tracing.mjs',
  'docs/providers.md: curl -s -X POST "https://partner.gupshup.io/partner/app/$GUPSHUP_APP_ID/subscription" \\',
  'docs/supergraph.md: mediagraph schema --output media.graphql',
  'docs/supergraph.md: router --config router.yaml --supergraph supergraph.graphql',
  'docs/supergraph.md: hive-gateway supergraph',
  'docs/supergraph.md: npx wgc router compose --input cosmo.yaml --out config.json',
];

let started: Promise<World> | null = null;
const world = () => (started ??= World.start());
afterAll(async () => (await started)?.close());

const hasCurl = (await isInstalled('curl', '--version')) && (await isInstalled('openssl', 'version'));
if (!hasCurl) process.stderr.write('docs: without curl and openssl, the shell examples of the pages are not run\n');

describe('the examples of the pages', () => {
  const kinds = new Set(Object.keys(runners()));

  it('are of kinds that are run', () => {
    expect(FENCES.filter((fence) => !kinds.has(kindOf(fence))).map(placeOf)).toEqual([]);
    expect(FENCES.length).toBeGreaterThan(60);
  });

  it('that cannot be run are few, and listed', () => {
    const notRun = FENCES.filter((fence) => fence.words[0] === 'not-run');
    expect(notRun.map(({ page, text }) => `${page}: ${text.split('\n')[0]}`)).toEqual(NOT_RUN);
  });

  it('have an output when they run a command, and otherwise none', () => {
    const mute = FENCES.filter(({ output, words, language }) => output !== null && !isProgram({ language, words }));
    expect(mute.map(placeOf)).toEqual([]);
  });

  const single = FENCES.filter((fence) => kinds.has(kindOf(fence)) && kindOf(fence) !== 'js run');
  it.each(single.map((fence) => [placeOf(fence), fence] as const))('%s', async (_place, fence) => {
    await runners()[kindOf(fence)]?.(fence);
  });

  it.each([...new Set(FENCES.filter((fence) => kindOf(fence) === 'js run').map(({ page }) => page))])(
    '%s, its JavaScript from top to bottom',
    async (page) => {
      const fences = FENCES.filter((fence) => fence.page === page && kindOf(fence) === 'js run');
      const here = await world();
      const outputs = await runModule(fences.map(({ text }) => here.here(text)));
      fences.forEach((fence, index) => {
        expectOutput(fence, outputs[index] ?? '');
      });
    },
  );
});

function runners(): Readonly<Record<string, (fence: Fence) => unknown>> {
  return {
    '': isProse,
    text: isProse,
    yaml: isConfiguration,
    'yaml config': isConfiguration,
    'yaml file': isConfiguration,
    'yaml channel': ({ text }) => configOf({ channels: parseYaml(text) }),
    'yaml router': ({ text }) => expect(parseYaml(text)).toMatchObject({ headers: { subgraphs: { media: {} } } }),
    'yaml rover': ({ text }) => composes(parseYaml(text).subgraphs),
    'yaml cosmo': isCosmoInput,
    graphql: isOperationOrSdl,
    'graphql subgraph': isSubgraph,
    'graphql supergraph': ({ text }) => expect(validate(supergraphApi(), parse(text))).toEqual([]),
    'graphql subscription': isSubscription,
    sh: areCommands,
    'sh run': runsInShell,
    // `operations.test.ts` runs and writes these.
    'sh operate': () => {},
    // `scaling.test.ts` runs this.
    'sql operate': () => {},
    'ini file': () => {},
    'nginx file': () => {},
    'sh not-run': () => {},
    'js not-run': () => {},
    'js run': () => {},
    'jsx run': rendersOnServer,
    'ts excerpt': isExcerpt,
    'ts gateway': isGateway,
  };
}

function kindOf({ language, words }: Pick<Fence, 'language' | 'words'>): string {
  return [language, ...words.slice(0, 1)].join(' ').trim();
}

function isProgram(fence: Pick<Fence, 'language' | 'words'>): boolean {
  return ['sh run', 'sh operate', 'js run', 'jsx run'].includes(kindOf(fence));
}

/** The parts of an example that a reader does not type. */
function isProse({ text }: Fence): void {
  expect(text).not.toMatch(/^(curl|npm|node|mediagraph) /m);
}

function isConfiguration({ text }: Fence): void {
  configOf(parseYaml(text.replaceAll('https://…', 'https://relay.example.com')));
}

/** Variables that no number of that size can stand for. */
const VALUES: Readonly<Record<string, string>> = {
  PORT: '4001',
  API_KEY_SHA256: 'ab'.repeat(32),
  DATABASE_URL: 'postgres://db.example.com/mediagraph',
};

function configOf(document: object): void {
  const names = [...JSON.stringify(document).matchAll(/\$\{([A-Z0-9_]+)\}/g)].map(([, name = '']) => name);
  parseConfig(
    { channels: [], ...document },
    Object.fromEntries(names.map((name) => [name, VALUES[name] ?? '1000000'])),
  );
}

/** Against a running server: no answer may have an error. What only defines types is compared with the schema. */
async function isOperationOrSdl({ text }: Fence): Promise<void> {
  const here = await world();
  const document = parse(here.here(text));
  if (document.definitions.some((one) => one.kind === Kind.OBJECT_TYPE_DEFINITION)) isPartOfSchema(document);
  else if (getOperationAST(document)?.operation === 'subscription')
    expect(await here.refusalOf(print(document))).toBe('');
  else expect(JSON.parse(await here.answer(print(document)))).not.toHaveProperty('errors');
}

function isPartOfSchema(document: DocumentNode): void {
  const fields = (sdl: DocumentNode) =>
    sdl.definitions.flatMap((one) =>
      one.kind === Kind.OBJECT_TYPE_DEFINITION
        ? (one.fields ?? []).map(
            (field) => `${one.name.value}.${print({ ...field, description: undefined, directives: [] })}`,
          )
        : [],
    );
  expect(fields(parse(printSubgraphSdl()))).toEqual(expect.arrayContaining(fields(document)));
}

function isSubgraph({ text, words: [, messageIds] }: Fence): void {
  compose(text, messageIds === 'bare' || messageIds === 'owned' ? messageIds : 'transparent');
}

function isSubscription({ text }: Fence): void {
  const [operation] = parse(text).definitions;
  expect(operation).toMatchObject({ operation: 'subscription' });
  expect(validate(supergraphApi(), parse(text))).toEqual([]);
}

/** The supergraph of this subgraph and one of messages. @throws Error with every error of the composition */
function compose(messages: string, messageIds: 'transparent' | 'bare' | 'owned', url = 'http://media/graphql') {
  const result = composeServices([
    { name: 'messages', url: 'http://messages/graphql', typeDefs: parse(messages) },
    { name: 'media', url, typeDefs: parse(printSubgraphSdl({ messageIds })) },
  ]);
  if (result.errors) throw new Error(result.errors.map(({ message }) => message).join('\n'));
  return result;
}

function messagesSdl(): string {
  const fence = FENCES.find(({ words }) => words[0] === 'subgraph' && words[1] === 'transparent');
  if (!fence) throw new Error('expected a messages subgraph in docs/supergraph.md');
  return fence.text;
}

/** What a client of the router sees. */
function supergraphApi(): GraphQLSchema {
  const { schema } = compose(messagesSdl(), 'transparent');
  return buildSchema(print(schema.toAPISchema().toAST()));
}

function composes(subgraphs: Readonly<Record<string, { readonly routing_url: string }>>): void {
  expect(Object.keys(subgraphs)).toEqual(['messages', 'media']);
  compose(messagesSdl(), 'transparent', subgraphs.media?.routing_url);
}

/** The protocol is one that the server speaks. */
function isCosmoInput({ text }: Fence): void {
  const { subgraphs }: { subgraphs: Array<{ name: string; routing_url: string; subscription?: unknown }> } =
    parseYaml(text);
  composes(Object.fromEntries(subgraphs.map((one) => [one.name, one])));
  expect(subgraphs.find(({ name }) => name === 'media')?.subscription).toMatchObject({
    protocol: 'ws',
    websocket_subprotocol: 'graphql-transport-ws',
  });
}

/** Lines for a person's shell: scripts and commands that exist. */
async function areCommands({ text }: Fence): Promise<void> {
  const { scripts }: { scripts: Record<string, string> } = JSON.parse(
    await readFile(new URL('package.json', ROOT), 'utf8'),
  );
  const commands = text.split('\n').flatMap((line) => line.replace(/\s#.*$/, '').split('&&'));
  for (const command of commands.map((one) => one.trim()).filter((one) => one !== '')) {
    const [program = '', word = '', name = ''] = command.replace(/^node dist\/main\.js/, 'mediagraph').split(/\s+/);
    if (program === 'npm')
      expect([...Object.keys(scripts), 'ci', 'pack', 'install']).toContain(word === 'run' ? name : word);
    else if (program === 'mediagraph') expect(COMMANDS).toContain(word);
    else expect(['export', 'cd']).toContain(program);
  }
}

const COMMANDS = ['serve', 'demo', 'check-config', 'doctor', 'migrate', 'sweep', 'verify', 'schema'];

async function runsInShell(fence: Fence): Promise<void> {
  if (!hasCurl) return;
  const here = await world();
  const { status, stdout, stderr } = await runShell(here.here(fence.text), here.environment);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expectOutput(fence, stdout);
}

/** The component as a server renders it, with its query answered. */
async function rendersOnServer(fence: Fence): Promise<void> {
  const here = await world();
  const [output = ''] = await runModule([
    compiled(`${here.here(fence.text)}
import { prerenderStatic } from '@apollo/client/react/ssr';
import { renderToStaticMarkup } from 'react-dom/server';
const { result } = await prerenderStatic({ tree: app, renderFunction: renderToStaticMarkup });
console.log(result);`),
  ]);
  expectOutput(fence, output);
}

async function isExcerpt({ text, words: [, file = ''] }: Fence): Promise<void> {
  expect(await readFile(new URL(file, ROOT), 'utf8')).toContain(text);
}

/** The gateway's own runtime, with the page's configuration, asks the running server. */
async function isGateway({ text }: Fence): Promise<void> {
  const here = await world();
  const { supergraphSdl } = compose(messagesSdl(), 'transparent', `${here.url}/graphql`);
  const program = `${text.replace(/^import .*$/m, 'const defineConfig = (config) => config;')}
import { createGatewayRuntime } from '@graphql-hive/gateway-runtime';
const given = { supergraph: process.env.SUPERGRAPH, logging: false };
const response = await createGatewayRuntime({ ...gatewayConfig, ...given }).fetch('http://gateway/graphql', {
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: process.env.AUTHORIZATION },
  body: JSON.stringify({ query: '{ mediaChannels { id } }' }),
});
console.log(await response.text());`;
  const env = { SUPERGRAPH: supergraphSdl, AUTHORIZATION: here.authorization };
  const [output = ''] = await runModule([compiled(program)], env);
  expect(JSON.parse(output)).toMatchObject({ data: { mediaChannels: expect.arrayContaining([{ id: 'support' }]) } });
}

function expectOutput({ output }: Fence, printed: string): void {
  if (output === null) return;
  if (!prints(printed, output)) expect(printed.trim()).toBe(output);
}

async function pagesOf(folder: string): Promise<string[]> {
  const names = await readdir(new URL(folder, ROOT));
  return names
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => folder + name);
}
