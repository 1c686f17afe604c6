/** The walk and the drills of the pages for operators, with a real PostgreSQL, a real nginx and real processes. */
import { randomUUID } from 'node:crypto';
import { CdnEmulator } from '../../demo/src/emulators/cdn-emulator.js';
import { KirimEmulator } from '../../demo/src/emulators/kirim/kirim-emulator.js';
import { kirimMessageId } from '../../demo/src/emulators/sample-ids.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { isInstalled } from '../support/installed-tools.js';
import { samples } from '../support/sample-messages.js';
import { SECRETS } from '../support/test-bed.js';
import { type Fence, fencesOf, placeOf, prints } from './fences.js';
import { Machine } from './machine.js';

/** Each page goes on where the one before has ended. */
const PAGES = ['docs/cluster.md', 'docs/recovery.md', 'docs/maintenance.md'];
/** Servers start a dozen times, on a busy machine. */
const PAGE_MS = 240_000;
const NEEDED: ReadonlyArray<readonly [program: string, option: string]> = [
  ...([
    ['nginx', '-v'],
    ['curl', '--version'],
    ['openssl', 'version'],
    ['sha256sum', '--version'],
  ] as const),
  ...(['psql', 'pg_dump', 'pg_restore', 'createdb', 'dropdb'] as const).map((name) => [name, '--version'] as const),
];

const installed = await Promise.all(NEEDED.map(([program, option]) => isInstalled(program, option)));
const missing = NEEDED.filter((_, index) => !installed[index]).map(([program]) => program);
if (missing.length > 0) process.stderr.write(`docs: without ${missing.join(', ')}, the operator's pages are not run\n`);
const describeOperator: typeof describeServer = missing.length === 0 ? describeServer : () => {};

describe('the pages for operators', () => {
  it('say in which order they are run', () => expect(PAGES).toHaveLength(3));
});

describeOperator('the commands of the pages for operators', (server) => {
  let cdn: CdnEmulator;
  let kirim: KirimEmulator;
  let machine: Machine;

  beforeAll(async () => {
    cdn = await new CdnEmulator().start();
    kirim = await new KirimEmulator({ token: SECRETS.kirimToken, cdn }).start();
    kirim.addMessage({ id: kirimMessageId(1), media: samples.photo });
    machine = await Machine.make({
      databaseUrl: server.url(),
      name: `mediagraph_${randomUUID().slice(0, 8)}`,
      replaced: { 'https://api-kckit.kirim.chat/v1': kirim.baseUrl, 'msg_01HX…': kirimMessageId(1) },
      env: { KIRIM_TOKEN: SECRETS.kirimToken, KIRIM_WEBHOOK_SECRET: 'a-webhook-secret' },
    });
  }, PAGE_MS);
  afterAll(async () => {
    await machine?.close();
    await kirim.close();
    await cdn.close();
  }, PAGE_MS);

  async function follow(fence: Fence): Promise<void> {
    if (fence.words[0] === 'file') return machine.write(fence);
    const { status, stdout, stderr } = await machine.run(fence.text);
    if (status !== 0) throw new Error(`expected ${placeOf(fence)} to succeed, got ${status}: ${stdout}${stderr}`);
    const output = fence.output === null ? null : machine.here(fence.output);
    if (output !== null && !prints(stdout, output))
      expect([placeOf(fence), stdout.trim()]).toEqual([placeOf(fence), output]);
  }

  it.each(PAGES)(
    '%s, from top to bottom',
    async (page) => {
      const fences = (await fencesOf(page)).filter(({ words }) => words[0] === 'operate' || words[0] === 'file');
      expect(fences.length).toBeGreaterThan(3);
      for (const fence of fences) await follow(fence);
      // The first delivery stores the bytes behind its response.
      if (page === PAGES[0])
        await until('the media to be stored', async () => {
          const { stdout } = await machine.run('mediagraph verify --config /etc/mediagraph/mediagraph.yaml');
          return stdout.startsWith('1 stored media compared: 0 findings');
        });
    },
    PAGE_MS,
  );

  it(
    'a version that is rolled back works on a schema that only adds, and refuses one that it cannot use',
    async () => {
      const ofLater = (statement: string) => machine.run(`psql --quiet --dbname=mediagraph --command="${statement}"`);
      const start =
        'systemctl restart mediagraph@4001; curl -sSf -o /dev/null --retry 60 --retry-delay 1 --retry-connrefused http://127.0.0.1:4001/readyz';
      await ofLater(`alter table media add column later text;
        insert into mediagraph_migrations (name, timestamp) values ('9999-later', now())`);
      expect(await machine.run(start)).toMatchObject({ status: 0 });
      const doctor = await machine.run('mediagraph doctor --config /etc/mediagraph/mediagraph.yaml | grep migrations');
      expect(doctor.stdout).toMatch(/^warn .* newer version .* this version can use it$/m);

      await ofLater("update mediagraph_compatibility set since = '9999-later'");
      const refused = await machine.run(
        'mediagraph migrate --config /etc/mediagraph/mediagraph.yaml || echo "status $?"',
      );
      expect(refused.stdout).toMatch(/status 1/);
      expect(refused.stderr).toMatch(/the database is of a newer version of Mediagraph: it has 9999-later/);
    },
    PAGE_MS,
  );
});
