import { channelSettings } from '../../../../src/providers/channel-schema.js';

describe('settings', () => {
  const settings = {
    id: 'wa',
    provider: 'wa-gateway',
    baseUrl: 'https://wa.example.com/',
    credentials: { token: 't' },
  };

  test('as in the contract', () => {
    expect(channelSettings.parse({ ...settings, webhook: { secret: 's' } })).toEqual({
      ...settings,
      baseUrl: 'https://wa.example.com',
      tenant: 'default',
      options: { allowPrivate: [] },
      webhook: { secret: 's', signatureHeader: 'X-WA-Signature' },
    });
  });

  test.each([
    { credentials: {} },
    { credentials: { token: 'line\nbreak' } },
    { webhook: {} },
    { webhook: { secret: 's', signatureHeader: 'a b' } },
    { options: { appId: 'x' } },
  ])('%j is refused', (wrong) => {
    expect(channelSettings.safeParse({ ...settings, ...wrong }).success).toBe(false);
  });
});
