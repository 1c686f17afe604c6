import { channelSettings } from '../../../../src/providers/channel-schema.js';
import {
  BEARER,
  CHAKRA_CHANNEL,
  credentialsAt,
  describeOne,
  LOOPBACK,
  MEDIA_ID,
  META_CHANNEL,
  openedBytes,
  PAGE,
  PHONE_NUMBER_ID,
  PHOTO_DETAILS,
  parsed,
  refusalOf,
  samples,
  startChakra,
  startElsewhere,
} from './setup.js';

describe('a channel of Chakra', () => {
  it('describes by id and version, from metadata without an envelope', async () => {
    const { chakra, adapter } = await startChakra();
    expect(adapter.provider).toBe('chakra');
    expect(adapter.mediaPerMessage).toBe('one');
    expect(adapter.listMedia).toBeUndefined();
    expect(await describeOne(adapter)).toEqual(PHOTO_DETAILS);
    expect(chakra.requests).toMatchObject([
      { path: `/v1/whatsapp/v19.0/media/${MEDIA_ID}`, headers: { authorization: BEARER } },
    ]);
  });

  it('opens the address on its own origin as it stands, with the credentials', async () => {
    const { chakra, adapter } = await startChakra({ options: { apiVersion: 'v21.0', pluginId: 'plugin_1' } });
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(credentialsAt(chakra)).toEqual([BEARER, BEARER]);
    expect(chakra.requests.map(({ path }) => path)).toEqual([
      `/v1/whatsapp/v21.0/media/${MEDIA_ID}`,
      expect.stringMatching(/^\/v1\/whatsapp\/v22\.0\/whatsapp_business\/attachments\/\?mid=\d+&ext=\d+&hash=[\w-]+$/),
    ]);
  });

  it.each(['https://lookaside.fbsbx.com', 'a server that would answer'])(
    'uses the one-step download when the metadata has another origin: %s',
    async (announced) => {
      const { chakra, adapter } = await startChakra({ options: { allowPrivate: LOOPBACK } });
      const cdn = await startElsewhere();
      chakra.announcedOrigin = announced.startsWith('https') ? announced : cdn.url;
      expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
      expect(chakra.requests.map(({ path }) => path)).toEqual([
        `/v1/whatsapp/v19.0/media/${MEDIA_ID}`,
        `/v1/whatsapp/v19.0/media/${MEDIA_ID}/show`,
      ]);
      expect(credentialsAt(chakra)).toEqual([BEARER, BEARER]);
      expect(cdn.requestCount).toBe(0);
    },
  );

  it('sends its credentials where the configuration allows it', async () => {
    const cdn = await startElsewhere();
    const { chakra, adapter } = await startChakra({ options: { mediaOrigins: [cdn.url] } });
    chakra.announcedOrigin = cdn.url;
    chakra.faults.push({ match: /show$/, fault: { kind: 'status', status: 502 } });
    // The emulator refuses requests with credentials, which proves that they arrived.
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_REJECTED', details: { upstreamStatus: 400 } });
    expect(credentialsAt(cdn)).toEqual([BEARER]);
  });

  it('renews an address once', async () => {
    const { chakra, adapter } = await startChakra();
    chakra.faults.push({ match: /attachments/, fault: { kind: 'status', status: 404 }, times: 1 });
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(chakra.requestCount).toBe(4);
  });

  it('follows a redirect without the credentials', async () => {
    const { chakra, adapter } = await startChakra({ options: { allowPrivate: LOOPBACK } });
    const cdn = await startElsewhere();
    const location = cdn.publicUrl('whatsapp_business/attachments/');
    chakra.faults.push({ match: /attachments/, fault: { kind: 'redirect', status: 302, location } });
    expect(await openedBytes(adapter)).toEqual(samples.photo.bytes);
    expect(credentialsAt(cdn)).toEqual([undefined]);
  });

  it('remembers media that is gone', async () => {
    const { chakra, adapter } = await startChakra();
    chakra.expire(MEDIA_ID);
    expect(await refusalOf(adapter)).toMatchObject({
      code: 'MEDIA_NOT_FOUND',
      details: { provider: 'chakra', channelId: 'wa', upstreamCode: '100' },
    });
    expect(await describeOne(adapter)).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    expect(chakra.requestCount).toBe(1);
  });

  it.each([
    [401, 'PROVIDER_CREDENTIALS'],
    [422, 'PROVIDER_REJECTED'],
    [429, 'PROVIDER_RATE_LIMITED'],
    [502, 'PROVIDER_UNAVAILABLE'],
  ])('maps its own status %i to %s', async (status, code) => {
    const { chakra, adapter } = await startChakra();
    chakra.fault = { kind: 'status', status };
    expect(await describeOne(adapter)).toMatchObject({ code, details: { upstreamStatus: status } });
  });

  it('does not accept an HTML page as media, in one step or two', async () => {
    const { chakra, adapter } = await startChakra();
    chakra.faults.push({ match: /attachments|show/, fault: { kind: 'body', body: PAGE, contentType: 'text/html' } });
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
    chakra.announcedOrigin = 'https://lookaside.fbsbx.com';
    expect(await refusalOf(adapter)).toMatchObject({ code: 'PROVIDER_PROTOCOL' });
  });
});

describe('the settings', () => {
  it('have defaults', () => {
    expect(parsed(META_CHANNEL).options).toMatchObject({ apiVersion: 'v23.0', phoneNumberId: PHONE_NUMBER_ID });
    expect(parsed(CHAKRA_CHANNEL).options).toMatchObject({ apiVersion: 'v19.0' });
    expect(parsed(META_CHANNEL).options.mediaOrigins).toBeUndefined();
  });

  it('accept a number in place of digits, as YAML parses them', () => {
    const options = { phoneNumberId: 106540352242922 };
    expect(parsed({ ...META_CHANNEL, options }).options).toMatchObject({ phoneNumberId: PHONE_NUMBER_ID });
  });

  it('let Chakra’s secret verify as well, unless another token does', () => {
    const webhookOf = (channel: object, webhook: object) => parsed({ ...channel, webhook }).webhook;
    expect(webhookOf(CHAKRA_CHANNEL, { secret: 's' })).toEqual({ secret: 's', verifyToken: 's' });
    expect(webhookOf(CHAKRA_CHANNEL, { secret: 's', verifyToken: 'v' })).toEqual({ secret: 's', verifyToken: 'v' });
    expect(webhookOf(META_CHANNEL, { secret: 's' })).toEqual({ secret: 's' });
    expect(webhookOf(META_CHANNEL, { secret: 's', verifyToken: 'v' })).toEqual({ secret: 's', verifyToken: 'v' });
  });

  it.each([
    ['a channel of Meta without options', { ...META_CHANNEL, options: undefined }],
    ['a channel of Meta without a number', { ...META_CHANNEL, options: {} }],
    ['a number with other signs', { ...META_CHANNEL, options: { phoneNumberId: '1/2' } }],
    ['a version without a v', { ...CHAKRA_CHANNEL, options: { apiVersion: '19.0' } }],
    ['a version that is a path', { ...CHAKRA_CHANNEL, options: { apiVersion: 'v1.0/..' } }],
    ['a plugin that is a path', { ...CHAKRA_CHANNEL, options: { pluginId: '../x' } }],
    ['a number at Chakra', { ...CHAKRA_CHANNEL, options: { phoneNumberId: '1' } }],
    ['an unknown key', { ...CHAKRA_CHANNEL, webhook: { secret: 's', header: 'x' } }],
    ['a token that no header can hold', { ...CHAKRA_CHANNEL, credentials: { token: 'a\n' } }],
  ])('refuse %s', (_name, channel) => {
    expect(channelSettings.safeParse(channel).success).toBe(false);
  });
});
