/** `mediagraph jobs`, in processes of its own, beside a server and without one. */
import type { WhatsAppEmulator } from '../../demo/src/emulators/whatsapp/whatsapp-emulator.js';
import { jobsCommand } from '../../src/cli/jobs.js';
import { JOB_KINDS } from '../../src/model/job-kind.js';
import type { Client } from '../support/client.js';
import { describeServer } from '../support/databases.js';
import { until } from '../support/eventually.js';
import { META, metaChannel, metaEmulator, receivePhoto } from '../support/meta.js';
import { ServerFolder } from '../support/server-folder.js';

/** Processes take seconds to start on a busy machine. */
const TEST_MS = 240_000;
const NONE = { open: 0, due: 0, running: 0, dead: 0, paused: false, oldestDueAgeSeconds: null };

let meta: WhatsAppEmulator;
let folder: ServerFolder;
beforeEach(async () => {
  meta = await metaEmulator().start();
});
afterEach(() => Promise.all([meta.close(), folder.close()]));

async function makeFolder(databaseUrl?: string): Promise<void> {
  folder = await ServerFolder.make({
    config: { channels: [metaChannel(meta)], mirror: { mode: 'eager' }, auth: { mode: 'none' } },
    databaseUrl,
  });
}

async function deliver(client: Client, serial: number): Promise<string> {
  const photo = receivePhoto(meta, serial);
  expect((await client.deliver(META, photo.delivery)).status).toBe(200);
  return photo.id;
}

describeServer('mediagraph jobs beside a server', (server) => {
  it(
    'pauses kinds, whose webhooks are acknowledged and wait, and resumes them at once',
    async () => {
      await makeFolder(server.url());
      const { client } = await folder.serve();
      const paused = { ...NONE, paused: true };
      expect(await folder.answerOf(['jobs', 'pause', 'copy', 'webhook', '--json'])).toEqual([
        { id: 'webhook', ...paused },
        { id: 'copy', ...paused },
      ]);
      const [first, second] = [await deliver(client, 1), await deliver(client, 2)];
      const list = await folder.answerOf(['jobs', '--json']);
      expect(list).toEqual(
        JOB_KINDS.map((id) => ({
          ...{ id, ...NONE },
          ...(id === 'sweep' && { open: 1 }),
          ...(id === 'copy' && { paused: true }),
          ...(id === 'webhook' && { paused: true, open: 2, due: 2, oldestDueAgeSeconds: expect.any(Number) }),
        })),
      );
      expect(meta.requestCount).toBe(0);

      expect(await folder.answerOf(['jobs', 'resume', 'webhook', '--json'])).toMatchObject([
        { id: 'webhook', paused: false },
      ]);
      for (const id of [first, second]) await client.becomes('PENDING', id);
      await until('the copies to wait', async () => {
        const [copy] = (await folder.answerOf(['jobs', 'list', 'copy', '--json'])) as Array<{ readonly due: number }>;
        return copy?.due === 2;
      });
      await folder.answerOf(['jobs', 'resume', 'copy', '--json']);
      for (const id of [first, second]) await client.becomes('READY', id);
    },
    TEST_MS,
  );
});

describe('mediagraph jobs on the embedded database', () => {
  it(
    'pauses for the next start, and says that a running server has the database',
    async () => {
      await makeFolder();
      const pausing = folder.run(['jobs', 'pause', 'webhook']);
      expect([await pausing.ended, pausing.stderr]).toEqual([0, '']);
      expect(pausing.stdout).toBe(
        [
          'kind     open  due  running  dead  paused  oldest due',
          'webhook  0     0    0        0     yes     -',
          '',
        ].join('\n'),
      );
      const { client, command } = await folder.serve();
      const id = await deliver(client, 1);
      const beside = folder.run(['jobs', 'resume', 'webhook']);
      expect(await beside.ended).toBe(1);
      expect([beside.stdout, beside.stderr]).toEqual([
        '',
        expect.stringMatching(/^mediagraph failed: .*only one process/),
      ]);
      command.kill('SIGTERM');
      expect(await command.ended).toBe(0);
      expect(await folder.answerOf(['jobs', 'resume', 'webhook', '--json'])).toMatchObject([
        { id: 'webhook', open: 1, due: 1, paused: false },
      ]);
      await (await folder.serve()).client.becomes('READY', id);
    },
    TEST_MS,
  );

  it(
    'refuses arguments that it does not know with status 2, and a database that it cannot reach with 1',
    async () => {
      await makeFolder('postgres://nobody@127.0.0.1:1/none');
      const unknown = folder.run(['jobs', 'list', '--jsn']);
      expect([await unknown.ended, unknown.stdout]).toEqual([2, '']);
      const away = folder.run(['jobs']);
      expect([await away.ended, away.stdout]).toEqual([1, '']);
      expect(away.stderr).toMatch(/^mediagraph failed: /m);
    },
    TEST_MS,
  );
});

describe('the arguments of mediagraph jobs', () => {
  beforeEach(() => makeFolder());

  const kinds = JOB_KINDS.join(', ');
  it.each([
    ['stop', [], 'expected one of list, pause, resume, got "stop"'],
    ['pause', [], `expected the kinds to pause after pause, some of ${kinds}, got none`],
    ['resume', [], `expected the kinds to resume after resume, some of ${kinds}, got none`],
    ['pause', ['copy', 'copies'], `expected a kind of ${kinds}, got "copies"`],
    ['list', ['__proto__'], `expected a kind of ${kinds}, got "__proto__"`],
  ])('%s %j are refused before anything is opened', async (action, kindsGiven, message) => {
    const [stdout, stderr]: [string[], string[]] = [[], []];
    const status = await jobsCommand({
      ...{ action, kinds: kindsGiven, json: false, env: {}, file: '/no/such/file' },
      stdout: { write: (text) => stdout.push(text) },
      stderr: { write: (text) => stderr.push(text) },
    });
    expect([status, stdout, stderr]).toEqual([2, [], [`error: ${message}\n`]]);
  });

  it('a configuration with faults is one, too', async () => {
    const stderr: string[] = [];
    const status = await jobsCommand({
      ...{ action: 'list', kinds: [], json: false, env: {}, file: '/no/such/file' },
      stdout: { write: () => true },
      stderr: { write: (text) => stderr.push(text) },
    });
    expect([status, stderr.join('')]).toEqual([2, expect.stringContaining('/no/such/file')]);
  });
});
