import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { checkConfig } from '../../../src/cli/check-config.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mediagraph-check-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function check(text: string, env: NodeJS.ProcessEnv = {}, { print = false } = {}) {
  const file = join(folder, 'media.yaml');
  await writeFile(file, text);
  const written = { stdout: '', stderr: '' };
  const into = (name: keyof typeof written) => ({
    write: (chunk: string) => {
      written[name] += chunk;
    },
  });
  const status = await checkConfig({ file, env, print, stdout: into('stdout'), stderr: into('stderr') });
  return { status, file, ...written };
}

const channel = (id: string, tenant: string) =>
  `  - { id: ${id}, tenant: ${tenant}, provider: kirim, baseUrl: "https://api.example.com", credentials: { token: "\${TOKEN}" } }\n`;

test('a valid file is summarised without its secrets, status 0', async () => {
  const channels = channel('support', 'acme') + channel('sales', 'other') + channel('returns', 'acme');
  const { status, stdout, stderr } = await check(
    `tenants: { acme: { maxStorageBytes: 50GB } }\nchannels:\n${channels}`,
    {
      TOKEN: 's3cr3t',
    },
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toBe(
    [
      'configuration is valid: 3 channels of 2 tenants',
      '  acme: support (kirim), returns (kirim)',
      '  other: sales (kirim)',
      '  without effect in this version: tenants.acme.maxStorageBytes',
      '',
    ].join('\n'),
  );
});

test('numbers agree with their nouns', async () => {
  const { stdout } = await check(`channels:\n${channel('support', 'acme')}`, { TOKEN: 't' });
  expect(stdout).toContain('1 channel of 1 tenant\n');
});

test('faults go to stderr, one a line after a headline, status 2', async () => {
  const { status, file, stdout, stderr } = await check(`server: { prot: 1 }\nchannels:\n${channel('support', 'acme')}`);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toBe(
    [
      `2 faults in ${file}:`,
      'channels[0].credentials.token: the environment variable TOKEN is not set and has no default',
      'server.prot: unknown key; did you mean port?',
      '',
    ].join('\n'),
  );
});

test('a file that is no YAML is a fault of the file, status 2', async () => {
  const { status, file, stderr } = await check('a: 1\na: 2');
  expect(status).toBe(2);
  expect(stderr).toBe(`1 fault in ${file}:\n(file): line 2, column 1: this key occurs twice in the same mapping\n`);
});

test('--print writes the resolved file as YAML, with the values of variables and without secrets', async () => {
  const base = 'channels:\n' + channel('support', 'acme');
  const text = `server: { publicUrl: "\${URL}", requestTimeout: 5s }\n${base}`;
  const { status, stdout, stderr } = await check(text, { TOKEN: 's3cr3t', URL: 'https://a.example/' }, { print: true });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(parse(stdout)).toMatchObject({
    server: { host: '127.0.0.1', publicUrl: 'https://a.example/', requestTimeout: '5s' },
    delivery: { urlTtl: '1h' },
    channels: [{ id: 'support', credentials: { token: '********' } }],
  });
  expect(stdout).not.toContain('s3cr3t');
});
