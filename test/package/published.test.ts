import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { Client } from '../support/client.js';
import { compiledProject, RunningProgram } from '../support/command.js';
import { freePort } from '../support/daemon.js';
import { filesBelow } from '../support/files-below.js';
import { isInstalled } from '../support/installed-tools.js';
import { reasonAgainstContainer, runContained, runInFolder } from '../support/package/contained.js';
import { readStages, settingsOf } from '../support/package/dockerfile.js';
import { linkModules, mayInstall, plainEnvironment, ROOT, runIn } from '../support/package/npm.js';
import { performStages } from '../support/package/stage-folders.js';
import { messageId, samples } from '../support/sample-messages.js';
import { kirimChannel, SECRETS } from '../support/test-bed.js';

// Installs packages, which takes a minute on a busy machine.
import.meta.jest.setTimeout(300_000);
const WEBHOOK_SECRET = 'whsec_a secret of Kirim';
const THUMBNAIL =
  'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { thumbnailUrl(width: 64, height: 64) } } }';

const describeInstalled = mayInstall ? describe : describe.skip;
if (!mayInstall)
  process.stderr.write('package: without TEST_REGISTRY=1, neither the image nor the npm package is tested\n');

const stages = readStages();
const settings = settingsOf(stages);
const manifest = z
  .object({ files: z.array(z.string()), dependencies: z.record(z.string(), z.string()) })
  .parse(JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')));
const hasTini = await isInstalled('tini', '--version');
const reason = mayInstall ? await reasonAgainstContainer() : null;
if (reason)
  process.stderr.write(`package: the image runs in its folder, as the user of the tests, because ${reason}\n`);

let folder: string;
/** The folder of the image's last stage. */
let image: string;
let programs: RunningProgram[];

beforeAll(async () => {
  if (!mayInstall) return;
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-published-'));
  await Promise.all(['stages', 'run', 'packed', 'installed'].map((name) => mkdir(join(folder, name))));
  image = await performStages({ stages, context: ROOT, folder: join(folder, 'stages'), run: perform });
});

beforeEach(() => {
  programs = [];
});

afterEach(async () => {
  for (const program of programs) program.kill('SIGKILL');
  await Promise.all(programs.map(({ ended }) => ended));
});

afterAll(async () => {
  if (mayInstall) await rm(folder, { recursive: true, force: true });
});

/**
 * Performs a RUN. Of the last stage's, only the folder of the volume is made; Debian's packages are those of this machine.
 * The build has been done once for all tests; with `TEST_LONG=1` it is done as the file says, over the packages of this
 * repository.
 */
async function perform(stage: string, command: string, at: string): Promise<void> {
  if (stage === '') {
    const [, volume = ''] = / && install --directory .* (\/\S+)$/.exec(command) ?? [];
    return void (await mkdir(join(at, volume), { recursive: true }));
  }
  const isLong = process.env.TEST_LONG === '1';
  if (command === 'npm ci') {
    await mkdir(join(at, 'node_modules'));
    if (isLong) await linkModules(join(at, 'node_modules'));
  } else if (command.startsWith('npm run build && ') && !isLong) {
    await cp(join(compiledProject(), 'dist'), join(at, 'dist'), { recursive: true });
    await runIn(at, command.replace('npm run build && ', ''));
  } else await runIn(at, command);
}

function running(program: RunningProgram): RunningProgram {
  programs.push(program);
  return program;
}

describeInstalled('the image', () => {
  let data: string;
  let config: string;

  beforeEach(async () => {
    data = await mkdtemp(join(folder, 'data-'));
    config = join(data, '..', 'config.yaml');
  });

  /** Runs a command of the Dockerfile over a configuration. */
  async function run(command: readonly string[], document: object): Promise<RunningProgram> {
    await writeFile(config, JSON.stringify({ channels: [], ...document }));
    const { env, user } = settings;
    const options = { env, user, image, data, config, folder: join(folder, 'run') };
    return running(await (reason === null ? runContained(options, command) : runInFolder(options, command)));
  }

  function entry(...args: string[]): string[] {
    const words = [...settings.entrypoint, ...args];
    return hasTini ? words : words.slice(words.indexOf('--') + 1);
  }

  it('consists of production files, which every user can read and only root can write', async () => {
    expect(await readdir(image)).toEqual(['app']);
    expect((await readdir(join(image, 'app'))).sort()).toEqual([
      'LICENSE',
      'data',
      'dist',
      'node_modules',
      'package.json',
      'schema',
    ]);
    const installed = Object.keys(await packagesIn(join(image, 'app/node_modules/.package-lock.json')));
    const locked = await packagesIn(join(ROOT, 'package-lock.json'));
    expect(installed.filter((path) => locked[path]?.dev !== undefined)).toEqual([]);
    expect(installed).toEqual(
      expect.arrayContaining(Object.keys(manifest.dependencies).map((name) => `node_modules/${name}`)),
    );
    const files = await filesBelow(join(image, 'app'));
    expect(files.filter((file) => file.endsWith('/graphiql.js'))).toHaveLength(1);
    const modes = await Promise.all(files.map(async (file) => (await stat(file)).mode & 0o006));
    expect(new Set(modes)).toEqual(new Set([0o004]));
  });

  it('serves a webhook and its media from a read-only tree, and ends with 0', async () => {
    const cdn = new CdnEmulator();
    const kirim = new KirimEmulator({ token: SECRETS.kirimToken, cdn, webhookSecrets: [WEBHOOK_SECRET] });
    await Promise.all([cdn.start(), kirim.start()]);
    const port = await freePort();
    const client = new Client(`http://127.0.0.1:${port}`);
    try {
      const before = await timesOf(join(image, 'app'));
      const document = {
        server: { port },
        auth: { allowOpen: true },
        network: { allowPrivate: ['127.0.0.0/8'] },
        channels: [kirimChannel(kirim.baseUrl, { webhook: { secret: WEBHOOK_SECRET } })],
      };
      const server = await run(entry(...settings.command), document);
      await server.printed(/mediagraph listens at/);
      expect(await (await run(settings.healthcheck, document)).ended).toBe(0);
      kirim.addMessage({ id: kirimMessageId(1), media: samples.video });
      const receipt = await client.deliver('wa', kirim.webhookOf(kirimMessageId(1)));
      expect(receipt.status).toBe(200);
      const media = await client.becomes('READY', messageId('kirim'));
      const got = await client.get(String(media.url));
      expect([got.status, got.bytes.equals(samples.video.bytes)]).toEqual([200, true]);
      if (await isInstalled('ffmpeg', '-version')) expect(await stillOf(client)).toBe(200);
      server.kill('SIGTERM');
      expect(await server.ended).toBe(0);
      expect(await (await run(settings.healthcheck, document)).ended).toBe(1);
      expect((await readdir(data)).sort()).toEqual(['blobs', 'catalog']);
      expect(await timesOf(join(image, 'app'))).toEqual(before);
    } finally {
      await Promise.all([client.close(), cdn.close(), kirim.close()]);
    }
  });

  it('listens on all interfaces, so that it does not start without authentication', async () => {
    const server = await run(entry('serve'), {});
    expect(await server.ended).toBe(2);
    expect(server.stderr).toContain('auth.mode');
  });
});

describeInstalled('the npm package', () => {
  let paths: string[];

  beforeAll(async () => {
    const packed = join(folder, 'packed');
    const besideDist = [
      'package.json',
      'README.md',
      'LICENSE',
      ...manifest.files.map((path) => path.split('/')[0] ?? ''),
    ];
    const copied = new Set(besideDist.filter((name) => name !== 'dist' && name !== 'demo'));
    await Promise.all([...copied].map((name) => cp(join(ROOT, name), join(packed, name), { recursive: true })));
    await cp(join(image, 'app/dist'), join(packed, 'dist'), { recursive: true });
    await cp(join(ROOT, 'demo/package.json'), join(packed, 'demo/package.json'));
    await cp(join(compiledProject(), 'demo/dist'), join(packed, 'demo/dist'), { recursive: true });
    // The scripts of the package would build what has just been built.
    const listed = await runIn(packed, `npm pack --json --ignore-scripts --pack-destination '${folder}'`);
    const [pack] = z
      .array(z.object({ filename: z.string(), files: z.array(z.object({ path: z.string() })) }))
      .parse(JSON.parse(listed));
    paths = pack?.files.map(({ path }) => path) ?? [];
    await runIn(join(folder, 'installed'), `npm install --omit=dev '${join(folder, pack?.filename ?? '')}'`);
  });

  function start(...args: string[]): RunningProgram {
    const cwd = join(folder, 'installed');
    return running(
      new RunningProgram(join(cwd, 'node_modules/.bin/mediagraph'), args, { env: plainEnvironment(), cwd }),
    );
  }

  it('contains the server and the demo, and neither sources nor tests', () => {
    expect(paths).toEqual(
      expect.arrayContaining(['dist/main.js', 'dist/LIBRARIES.txt', 'demo/dist/demo.js', 'config.example.yaml']),
    );
    expect(paths.filter((path) => path.startsWith('dist/database/embedded/template-'))).toHaveLength(1);
    expect(paths.filter((path) => /^(src|test|bench|examples|node_modules)\/|\.ts$/.test(path))).toEqual([]);
  });

  it('installs its production dependencies, without a missing one', async () => {
    await runIn(join(folder, 'installed'), 'npm ls --all --omit=dev');
    const installed = await readdir(join(folder, 'installed/node_modules'));
    expect(installed).toEqual(
      expect.arrayContaining(Object.keys(manifest.dependencies).map((name) => name.split('/')[0])),
    );
    expect(
      installed.filter((name) => ['react', 'vite', 'jest', 'typescript', 'mediagraph-inbox'].includes(name)),
    ).toEqual([]);
  });

  it('checks a configuration and serves it', async () => {
    const cwd = join(folder, 'installed');
    await writeFile(join(cwd, 'config.yaml'), JSON.stringify({ server: { port: 0 }, channels: [] }));
    expect(await runIn(cwd, 'npx --no-install mediagraph check-config --config config.yaml')).toContain(
      'configuration is valid',
    );
    const server = start('serve', '--config', 'config.yaml');
    const [, url = ''] = await server.printed(/mediagraph listens at (\S+)/);
    const client = new Client(url);
    expect((await client.get('/readyz')).status).toBe(200);
    await client.close();
    server.kill('SIGTERM');
    expect(await server.ended).toBe(0);
  });

  it('shows the demo', async () => {
    const demo = start('demo');
    await demo.printed(/Press Ctrl-C to stop\.\n/);
    expect(demo.stdout).toMatch(/12 of 12 links opened/);
    demo.kill('SIGINT');
    expect(await demo.ended).toBe(0);
  });
});

/** The entries of a lock file, by path. */
async function packagesIn(file: string) {
  const entry = z.object({ dev: z.boolean().optional(), link: z.boolean().optional() });
  return z.object({ packages: z.record(z.string(), entry) }).parse(JSON.parse(await readFile(file, 'utf8'))).packages;
}

async function timesOf(tree: string): Promise<ReadonlyMap<string, number>> {
  const files = (await filesBelow(tree)).filter((file) => !file.startsWith(join(tree, 'data')));
  return new Map(await Promise.all(files.map(async (file) => [file, (await stat(file)).ctimeMs] as const)));
}

async function stillOf(client: Client): Promise<number> {
  const { data } = await client.query<{ messagesWithMedia: Array<{ media: Array<{ thumbnailUrl: string }> }> }>(
    THUMBNAIL,
    {
      ids: [messageId('kirim')],
    },
  );
  return (await client.get(data?.messagesWithMedia[0]?.media[0]?.thumbnailUrl ?? '')).status;
}
