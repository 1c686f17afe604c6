// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of the configuration file look like this.
import { faultsOf, loadText, parse } from './configurations.js';

describe('variables', () => {
  const env = { TOKEN: 'a: b #c "\n- d', PORT: '4001', EMPTY: '', NESTED: '${TOKEN}', ONE: '80' };

  test('a value with special characters of YAML does not change the structure', async () => {
    const text =
      'channels:\n  - { id: a, provider: kirim, baseUrl: "https://h", credentials: { token: t }, webhook: { secret: "${TOKEN}" } }';
    const { channels } = await loadText(text, env);
    expect(channels[0]?.webhook?.secret).toBe(env.TOKEN);
  });

  test.each([
    ['${PORT}', env.PORT],
    ['${MISSING:-fallback}', 'fallback'],
    ['${MISSING:-}', ''],
    ['${EMPTY:-fallback}', 'fallback'],
    ['a${EMPTY}b', 'ab'],
    ['${PORT}-${PORT:-x}', '4001-4001'],
    ['${NESTED}', '${TOKEN}'],
    ['$PORT ${my-var} ${', '$PORT ${my-var} ${'],
  ])('%j becomes %j', (text, expected) => {
    expect(parse({ storage: { root: `x${text}` } }, env).storage.root).toBe(`x${expected}`);
  });

  test('they are replaced in lists and before types are parsed', () => {
    const config = parse({ network: { allowedPorts: ['${ONE}'] }, server: { port: '${PORT}' } }, env);
    expect(config.network.allowedPorts).toEqual([80]);
    expect(config.server.port).toBe(4001);
  });

  test('keys are not replaced', () => {
    expect(faultsOf({ '${PORT}': 1 }, env)).toEqual([expect.stringContaining('["${PORT}"]: unknown key')]);
  });

  test('a missing variable is one fault, with its name and the path of the value', () => {
    const settings = {
      server: { host: '${HOST}', port: '${A}${B}' },
      auth: { mode: '${MODE}' },
      channels: '${constructor}',
    };
    expect(faultsOf(settings)).toEqual([
      'auth.mode: the environment variable MODE is not set and has no default',
      'channels: the environment variable constructor is not set and has no default',
      'server.host: the environment variable HOST is not set and has no default',
      'server.port: the environment variable A is not set and has no default',
      'server.port: the environment variable B is not set and has no default',
    ]);
  });

  test('a missing variable does not hide that its key is unknown', () => {
    expect(faultsOf({ server: { prot: '${PORT}' } })).toEqual([
      'server.prot: the environment variable PORT is not set and has no default',
      'server.prot: unknown key; did you mean port?',
    ]);
  });

  test('a default that contains a variable is a fault', () => {
    expect(faultsOf({ storage: { root: '${A:-${B}}' } })).toEqual([
      'storage.root: the default of A must not contain another variable',
    ]);
  });

  test('a value from the environment is not shown even in faults that show values of the file', () => {
    const line = 'server.port: expected a port from 0 to 65535';
    expect(faultsOf({ server: { port: '${PORT}' } }, { PORT: 'hunter2' })).toEqual([line]);
    expect(faultsOf({ server: { port: 'x' } })).toEqual([`${line}, got "x"`]);
  });
});
