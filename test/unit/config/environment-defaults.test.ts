import { loadText } from './configurations.js';

const OPEN = 'auth: { mode: none, allowOpen: true }';

describe('MEDIA_HOST', () => {
  const env = { MEDIA_HOST: '0.0.0.0' };

  it.each(['', 'server:\n', 'server: { port: 1 }\n'])('is the default of server.host in %j', async (server) => {
    const text = `${server}${OPEN}\nchannels: []`;
    expect((await loadText(text, env)).server.host).toBe('0.0.0.0');
    for (const without of [{}, { MEDIA_HOST: '' }])
      expect((await loadText(text, without)).server.host).toBe('127.0.0.1');
  });

  it('does not replace what the file says', async () => {
    const text = 'server: { host: 127.0.0.2 }\nchannels: []';
    expect((await loadText(text, env)).server.host).toBe('127.0.0.2');
  });

  it('needs authentication, as the same host in the file does', async () => {
    await expect(loadText('channels: []', env)).rejects.toMatchObject({
      faults: [{ path: 'auth.mode', message: expect.stringContaining('loopback') }],
    });
  });

  it('is checked, and leaves the faults of the file as they are', async () => {
    await expect(loadText(`${OPEN}\nchannels: []`, { MEDIA_HOST: '::1:4000 ' })).rejects.toMatchObject({
      faults: [{ path: 'server.host', message: expect.stringContaining('without port') }],
    });
    await expect(loadText('server: 1\nchannels: []', env)).rejects.toMatchObject({
      faults: [{ path: 'server', message: 'expected a mapping' }],
    });
    await expect(loadText('- a', env)).rejects.toMatchObject({ faults: [{ path: '(file)' }] });
  });
});
