// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration file look like this.
import { readFile } from 'node:fs/promises';
import { loadConfig, withoutEffectYet } from '../../../src/config/config.js';
import { PROVIDER_NAMES } from '../../../src/model/channel.js';
import { fileFaultsOf, kirim, loadText, parse, withFile } from './configurations.js';

/** A value for a variable of the example. A phone number id must be a number. */
function exampleValueOf(name: string): string {
  return name.endsWith('PHONE_NUMBER_ID') ? '106540352242922' : `value-of-${name}`.replaceAll('_', '-');
}

describe('files', () => {
  test('the example of the repository is valid, given its variables', async () => {
    const example = await readFile('config.example.yaml', 'utf8');
    const names = [...example.matchAll(/^(?!\s*#).*?\$\{(\w+)\}/gm)].map(([, name]) => name ?? '');
    const env = Object.fromEntries(names.map((name) => [name, exampleValueOf(name)]));
    const { withoutEffect, channels, delivery, ...rest } = await loadText(example, env);
    const { channels: _, delivery: defaultDelivery, withoutEffect: __, ...defaults } = parse({});
    expect(rest).toEqual(defaults);
    expect(delivery).toEqual({ ...defaultDelivery, signingKeys: [{ id: 'k1', secret: 'value-of-MEDIA-SIGNING-KEY' }] });
    expect(channels.map(({ provider }) => provider).sort()).toEqual([...PROVIDER_NAMES].sort());
    expect(withoutEffect).toEqual([]);
  });

  test('JSON is read too, indented with tabs', async () => {
    const config = await loadText(JSON.stringify({ server: { port: 1 }, channels: [kirim()] }, null, '\t'));
    expect(config.server.port).toBe(1);
  });

  test.each([
    ['a: 1\nb: 2\na: 3', '(file): line 3, column 1: this key occurs twice in the same mapping'],
    ['a: *b', '(file): line 1, column 4: an alias without an anchor before it; a text that starts with * needs quotes'],
    ['a: !vault b', '(file): line 1, column 4: unknown tag'],
    ['--- {}\n--- {}', '(file): line 2, column 1: more than one document in the file'],
    ['- a', '(file): expected a mapping of keys to values'],
    ['', 'channels: missing; expected a list'],
  ])('%j gives one fault', async (text, fault) => expect(await fileFaultsOf(text)).toEqual([fault]));

  test('aliases that expand without end are refused', async () => {
    const bomb = `a: &a [${'1,'.repeat(10)}]\nb: &b [${'*a,'.repeat(10)}]\nc: &c [${'*b,'.repeat(10)}]\nd: [${'*c,'.repeat(10)}]`;
    expect(await fileFaultsOf(bomb)).toEqual(['(file): too many aliases']);
    expect((await fileFaultsOf('channels: &a [*a]')).join()).toContain('nested too deeply');
  });

  test('a file that cannot be read, or none at all, is a fault', async () => {
    await expect(loadConfig({ file: '/nowhere/config.yaml', env: {} })).rejects.toMatchObject({
      faults: [{ path: '(file)', message: 'cannot be read (ENOENT)' }],
      source: '/nowhere/config.yaml',
    });
    await expect(loadConfig({ env: { MEDIA_CONFIG: '' } })).rejects.toThrow('--config FILE');
  });

  test('MEDIA_CONFIG names the file unless --config does', async () => {
    const load = (file: string) => loadConfig({ env: { MEDIA_CONFIG: file } });
    expect((await withFile('server: { port: 7 }\nchannels: []', load)).server.port).toBe(7);
    const env = { MEDIA_CONFIG: '/nowhere/config.yaml' };
    expect((await loadText('channels: []', env)).channels).toEqual([]);
  });
});

test('keys without effect are reported where they are set, and only there', () => {
  const settings = {
    metrics: { port: null },
    mirror: { mode: 'lazy' },
    federation: { authDirectives: false, messageIds: 'bare' },
    upload: { maxBytes: 1, timeout: '1s' },
    limits: { requestsPerMinute: 60 },
    tenants: { acme: { maxStorageBytes: '1GB', retention: '1d' }, 'b.c': { maxStorageBytes: null } },
    storage: { s3: { bucket: 'b' } },
  };
  expect(withoutEffectYet(settings)).toEqual(['tenants.acme.maxStorageBytes']);
  const tenants = { 'b.c': { maxStorageBytes: '${LIMIT}' } };
  expect(parse({ ...settings, tenants }, { LIMIT: '60' }).withoutEffect).toEqual(['tenants["b.c"].maxStorageBytes']);
  expect(withoutEffectYet(null)).toEqual([]);
});
