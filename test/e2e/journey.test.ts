import { composeServices } from '@apollo/composition';
import { parse } from 'graphql';
import {
  kirimMessageId,
  signalwireMediaSid,
  signalwireMessageSid,
  twilioMediaSid,
  twilioMessageSid,
} from '../../demo/src/emulators/sample-ids.js';
import { messageId, receive, receiveEverywhere, samples } from '../support/sample-messages.js';
import { headerOf, type MediaData, type MessageData, nth, sole, type TestBed, useBeds } from '../support/test-bed.js';

const MEDIA = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) {
  id channelId providerMessageId
  media { id status kind mimeType sizeBytes filename caption url urlExpiresAt provider providerMediaId createdAt message { id } }
} }`;
const URLS = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { url } } }';

const beds = useBeds();
let bed: TestBed;

beforeEach(async () => {
  bed = await beds.shared();
});

describe('one query over three providers', () => {
  beforeEach(() => {
    bed.kirim.addMessage({ id: kirimMessageId(1), media: { ...samples.voiceNote, caption: 'listen' } });
    bed.signalwire.addMessage({
      sid: signalwireMessageSid(1),
      media: [
        { ...samples.photo, sid: signalwireMediaSid(1), createdAt: new Date('2018-08-13T21:38:45Z') },
        { ...samples.video, sid: signalwireMediaSid(2), createdAt: new Date('2018-08-13T21:38:46Z') },
      ],
    });
    bed.twilio.addMessage({ sid: twilioMessageSid(1), media: [{ ...samples.document, sid: twilioMediaSid(1) }] });
  });

  const ids = [messageId('kirim'), messageId('signalwire'), messageId('twilio')];

  it('answers in the order of the ids, with the same fields for every provider', async () => {
    const { data, errors } = await bed.query(MEDIA, { ids });
    expect(errors).toEqual([]);
    expect(data?.messagesWithMedia.map((message) => message?.id)).toEqual(ids);
    const [voice, photos, document] = data?.messagesWithMedia ?? [];
    expect(voice?.media).toEqual([
      expect.objectContaining({
        status: 'READY',
        kind: 'AUDIO',
        mimeType: 'audio/ogg; codecs=opus',
        sizeBytes: samples.voiceNote.bytes.length,
        caption: 'listen',
        provider: 'KIRIM',
        providerMediaId: null,
        message: { id: messageId('kirim') },
      }),
    ]);
    expect(photos?.media).toEqual([
      expect.objectContaining({
        kind: 'VIDEO',
        mimeType: 'video/mp4',
        provider: 'SIGNALWIRE',
        providerMediaId: signalwireMediaSid(2),
      }),
      expect.objectContaining({
        kind: 'IMAGE',
        mimeType: 'image/jpeg',
        provider: 'SIGNALWIRE',
        providerMediaId: signalwireMediaSid(1),
      }),
    ]);
    expect(document?.media).toEqual([
      expect.objectContaining({
        kind: 'DOCUMENT',
        mimeType: 'application/pdf',
        provider: 'TWILIO',
        providerMediaId: twilioMediaSid(1),
      }),
    ]);
    expect(photos).toMatchObject({ channelId: 'sms', providerMessageId: signalwireMessageSid(1) });
  });

  it('gives links that a bare GET opens, with exactly the bytes and the safe headers', async () => {
    const { data } = await bed.query(URLS, { ids });
    const urls = data?.messagesWithMedia.flatMap((message) => message?.media ?? []).map(({ url }) => url) ?? [];
    const expected = [samples.voiceNote, samples.video, samples.photo, samples.document];
    expect(urls).toHaveLength(expected.length);
    for (const [index, sample] of expected.entries()) {
      const got = await bed.get(nth(urls, index));
      expect(got.status).toBe(200);
      expect(got.bytes.equals(sample.bytes)).toBe(true);
      expect(got.headers).toMatchObject({
        'content-type': sample.mimeType,
        'content-length': String(sample.bytes.length),
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'cross-origin',
        'access-control-allow-origin': '*',
        'content-security-policy':
          sample === samples.document
            ? "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'"
            : "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'",
      });
      expect(headerOf(got, 'content-disposition')).toMatch(/^inline; filename="/);
    }
  });

  it('answers HEAD with the headers of GET and no body', async () => {
    for (const id of ids) {
      for (const url of await bed.urlsOf(id)) {
        // The first answer has no hash yet.
        await bed.get(url);
        const [got, head] = [await bed.get(url), await bed.get(url, { method: 'HEAD' })];
        expect(head.status).toBe(200);
        expect(head.bytes).toHaveLength(0);
        expect(withoutMoment(head.headers)).toEqual(withoutMoment(got.headers));
      }
    }
  });

  it('sends no credentials to the CDN, and each provider only its own', async () => {
    for (const id of ids) for (const url of await bed.urlsOf(id)) await bed.get(url);
    await bed.query(MEDIA, { ids });
    expect(bed.cdn.requestCount).toBeGreaterThanOrEqual(4);
    for (const { headers } of bed.cdn.requests) {
      expect(headers).not.toHaveProperty('authorization');
      expect(headers).not.toHaveProperty('cookie');
    }
    expect(bed.kirim.requests.every(({ headers }) => headers.authorization?.startsWith('Bearer '))).toBe(true);
    expect(bed.signalwire.requests.every(({ headers }) => headers.authorization?.startsWith('Basic '))).toBe(true);
  });

  it('requests each distinct message once, however often ids, aliases and fragments repeat it', async () => {
    const [kirimId, signalwireId] = [messageId('kirim'), messageId('signalwire')];
    const query = `query($ids: [ID!]!) {
      a: messagesWithMedia(ids: $ids) { ...Links }
      b: messagesWithMedia(ids: $ids) { one: media { id } two: media(kinds: [IMAGE, VIDEO, AUDIO]) { url } ...Links }
    } fragment Links on Message { media { url message { id media { id } } } }`;
    const { errors } = await bed.query(query, { ids: [kirimId, signalwireId, kirimId, signalwireId, signalwireId] });
    expect(errors).toEqual([]);
    expect(bed.signalwire.requestCount).toBe(1);
    expect(bed.kirim.requests.filter(({ path }) => path.endsWith('/media'))).toHaveLength(1);
    expect(bed.twilio.requestCount).toBe(0);
  });

  it('spends no call on links', async () => {
    await bed.query(URLS, { ids });
    expect(bed.cdn.requestCount).toBe(0);
    expect(bed.providerCalls).toBe(3);
  });

  it('gives only the media of the kinds that were asked for', async () => {
    const query = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media(kinds: [IMAGE, AUDIO]) { kind } } }';
    const { data } = await bed.query(query, { ids });
    expect(data?.messagesWithMedia.map((message) => message?.media?.map(({ kind }) => kind))).toEqual([
      ['AUDIO'],
      ['IMAGE'],
      [],
    ]);
    const none = await bed.query('query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media(kinds: []) { kind } } }', {
      ids,
    });
    expect(none.data?.messagesWithMedia.map((message) => message?.media)).toEqual([[], [], []]);
  });

  it('reads the dates of LaML, which are RFC 2822, and gives ISO ones', async () => {
    const { data } = await bed.query(MEDIA, { ids: [messageId('signalwire')] });
    const media = sole(data?.messagesWithMedia)?.media;
    expect(media?.map(({ createdAt }) => createdAt)).toEqual(['2018-08-13T21:38:46.000Z', '2018-08-13T21:38:45.000Z']);
  });

  it('opens media whose sid is no UUID: it ends in "me"', async () => {
    expect(signalwireMediaSid(1)).toMatch(/me$/);
    const urls = await bed.urlsOf(messageId('signalwire'));
    expect((await bed.get(nth(urls, 1))).bytes.equals(samples.photo.bytes)).toBe(true);
  });

  it('follows a provider that redirects with 307 as it follows one with 302', async () => {
    for (const status of [302, 307] as const) {
      bed.twilio.redirectStatus = status;
      const got = await bed.get(await bed.urlOf(messageId('twilio')));
      expect(got.status).toBe(200);
      expect(got.bytes.equals(samples.document.bytes)).toBe(true);
    }
  });

  it('lists the channels and their capabilities', async () => {
    const query =
      '{ mediaChannels { id provider capabilities { listsMedia upload deletesAtProvider receivesWebhooks maxUploadBytes uploadMimeTypes } } }';
    const { data } = await bed.query<{
      mediaChannels: Array<{ id: string; provider: string; capabilities: { listsMedia: boolean } }>;
    }>(query);
    expect(data?.mediaChannels.map(({ id, provider }) => [id, provider])).toEqual([
      ['wa', 'KIRIM'],
      ['sms', 'SIGNALWIRE'],
      ['mms', 'TWILIO'],
    ]);
    expect(data?.mediaChannels.every(({ capabilities }) => capabilities.listsMedia)).toBe(true);
  });
});

describe('the Cache-Control of answers', () => {
  const cacheControl = async (query: string, variables: Record<string, unknown> = {}, own = bed) =>
    headerOf(await own.query(query, variables), 'cache-control');

  it('is private for half a minute when everything is known and final', async () => {
    const ids = receiveEverywhere(bed);
    expect(await cacheControl(MEDIA, { ids })).toBe('private, max-age=30');
    expect(await cacheControl('{ mediaChannels { id } }')).toBe('private, max-age=30');
    const traced = { headers: { 'apollo-federation-include-trace': 'ftv1' } };
    expect(headerOf(await bed.query(MEDIA, { ids }, traced), 'cache-control')).toBe('private, max-age=30');
  });

  it('is no-store when media may still arrive, a field failed, for a mutation, or without an operation', async () => {
    const ids = receiveEverywhere(bed);
    expect(await cacheControl(MEDIA, { ids: [...ids, messageId('kirim', 404)] })).toBe('no-store');
    expect(await cacheControl(MEDIA, { ids: ['nobody:m'] })).toBe('no-store');
    expect(await cacheControl('{ media(id: "x") { id } }')).toBe('no-store');
    expect(await cacheControl('mutation { deleteMedia(input: { id: "x" }) { scope } }')).toBe('no-store');
    expect(await cacheControl('{ __typename }')).toBe('no-store');
  });

  it('ends with the media', async () => {
    const own = await beds.own({ config: { retention: { default: '20s' } } });
    const answer = await cacheControl(MEDIA, { ids: receiveEverywhere(own) }, own);
    const [, maxAge] = /^private, max-age=(\d+)$/.exec(answer) ?? [];
    expect(Number(maxAge)).toBeGreaterThan(0);
    expect(Number(maxAge)).toBeLessThanOrEqual(20);
  });
});

describe('links', () => {
  beforeEach(() => {
    receiveEverywhere(bed);
  });

  const ids = [messageId('signalwire')];

  it('expire when urlExpiresAt says, and caches may keep the bytes no longer', async () => {
    const { data } = await bed.query(MEDIA, { ids });
    const { url, urlExpiresAt } = sole(sole(data?.messagesWithMedia)?.media);
    const exp = Number(new URL(url).searchParams.get('exp'));
    expect(exp).toBe(Date.parse(urlExpiresAt) / 1000);
    expect(exp * 1000).toBeGreaterThan(Date.now());
    const [before, got] = [Date.now(), await bed.get(url)];
    const maxAge = Number(/^private, max-age=(\d+), immutable$/.exec(headerOf(got, 'cache-control'))?.[1]);
    expect(maxAge).toBeGreaterThan(0);
    expect(before / 1000 + maxAge).toBeLessThanOrEqual(exp + 1);
  });

  it('stay the same from query to query, so that browsers and CDNs can cache', async () => {
    // Windows are a quarter of an hour long: of three queries in a row, two neighbours are in the same one.
    const [first, second, third] = [
      await bed.urlOf(nth(ids, 0)),
      await bed.urlOf(nth(ids, 0)),
      await bed.urlOf(nth(ids, 0)),
    ];
    expect([first, third]).toContain(second);
  });

  it('live as long as expiresIn asks, from a minute to a week', async () => {
    const query = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media {
      minute: url(expiresIn: 60) week: url(expiresIn: 604800) } } }`;
    const now = Date.now() / 1000;
    const { data, errors } = await bed.query<{
      messagesWithMedia: Array<{ media: Array<{ minute: string; week: string }> }>;
    }>(query, { ids });
    expect(errors).toEqual([]);
    const { minute, week } = sole(sole(data?.messagesWithMedia).media);
    for (const [url, seconds] of [
      [minute, 60],
      [week, 604_800],
    ] as const) {
      const left = Number(new URL(url).searchParams.get('exp')) - now;
      expect(left).toBeGreaterThanOrEqual(seconds - 1);
      expect(left).toBeLessThanOrEqual(seconds * 1.25 + 1);
      expect((await bed.get(url)).status).toBe(200);
    }
  });

  it.each([59, 604_801, 0, -1])('refuse expiresIn %d with BAD_USER_INPUT at the field', async (expiresIn) => {
    const query = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { id url(expiresIn: ${expiresIn}) } } }`;
    const { data, errors } = await bed.query(query, { ids });
    expect(sole(errors)).toMatchObject({
      path: ['messagesWithMedia', 0, 'media', 0, 'url'],
      extensions: { code: 'BAD_USER_INPUT' },
    });
    expect(sole(sole(data?.messagesWithMedia)?.media)).toMatchObject({ id: expect.any(String), url: null });
  });

  it('say in the browser whether the file shows or is saved', async () => {
    const query = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { shown: url saved: url(disposition: ATTACHMENT) } } }`;
    const { data } = await bed.query<{ messagesWithMedia: Array<{ media: Array<{ shown: string; saved: string }> }> }>(
      query,
      { ids },
    );
    const { shown, saved } = sole(sole(data?.messagesWithMedia).media);
    expect(headerOf(await bed.get(shown), 'content-disposition')).toMatch(/^inline;/);
    expect(headerOf(await bed.get(saved), 'content-disposition')).toMatch(/^attachment;/);
  });

  it('save under the name that the provider knows, also one that is not ASCII', async () => {
    const filename = 'Rechnung März (1).pdf';
    bed.twilio.addMessage({
      sid: twilioMessageSid(2),
      media: [{ ...samples.document, sid: twilioMediaSid(2), filename }],
    });
    const got = await bed.get(await bed.urlOf(messageId('twilio', 2)));
    expect(headerOf(got, 'content-disposition')).toBe(
      `inline; filename="Rechnung Marz (1).pdf"; filename*=UTF-8''Rechnung%20M%C3%A4rz%20%281%29.pdf`,
    );
  });

  it('have the address at which the client reached the server', async () => {
    expect(new URL(await bed.urlOf(nth(ids, 0))).origin).toBe(bed.app.url);
  });
});

describe('links behind a CDN', () => {
  it('carry its origin, with Cache-Control and CORS as configured', async () => {
    const delivery = {
      baseUrl: 'https://cdn.example.com',
      visibility: 'public',
      allowedOrigins: { default: ['https://app.example.com'] },
      signingKeys: [{ id: 'k1', secret: 'a-secret-of-sixteen-characters' }],
    };
    bed = await beds.own({ config: { delivery } });
    const { origin, pathname, search } = new URL(await bed.urlOf(receive(bed, 'signalwire')));
    expect(origin).toBe('https://cdn.example.com');
    const open = (from: string) => bed.get(pathname + search, { headers: { origin: from } });
    const allowed = await open('https://app.example.com');
    expect(allowed.status).toBe(200);
    expect(headerOf(allowed, 'cache-control')).toMatch(/^public, max-age=\d+, immutable$/);
    expect(allowed.headers['access-control-allow-origin']).toBe('https://app.example.com');
    expect((await open('null')).headers['access-control-allow-origin']).toBe('null');
    expect((await open('https://evil.example')).headers).not.toHaveProperty('access-control-allow-origin');
    expect(headerOf(allowed, 'vary')).toMatch(/origin/i);
  });
});

describe('listing at providers with their quirks', () => {
  it('walks all pages of SignalWire and of Twilio', async () => {
    const count = 7;
    const media = (sidOf: (index: number) => string) =>
      Array.from({ length: count }, (_, index) => ({ ...samples.photo, sid: sidOf(index) }));
    bed.signalwire.maxPageSize = 3;
    bed.twilio.maxPageSize = 3;
    bed.signalwire.addMessage({ sid: signalwireMessageSid(1), media: media(signalwireMediaSid) });
    bed.twilio.addMessage({ sid: twilioMessageSid(1), media: media(twilioMediaSid) });
    const { data, errors } = await bed.query(MEDIA, { ids: [messageId('signalwire'), messageId('twilio')] });
    expect(errors).toEqual([]);
    const sids = (at: number) =>
      data?.messagesWithMedia[at]?.media?.map(({ providerMediaId }) => providerMediaId).sort();
    expect(sids(0)).toEqual(
      media(signalwireMediaSid)
        .map(({ sid }) => sid)
        .sort(),
    );
    expect(sids(1)).toEqual(
      media(twilioMediaSid)
        .map(({ sid }) => sid)
        .sort(),
    );
    expect(bed.signalwire.requestCount).toBe(3);
  });

  it('finds a message that Twilio answers with 404 just after its arrival', async () => {
    bed.twilio.addMessage({
      sid: twilioMessageSid(1),
      media: [{ ...samples.photo, sid: twilioMediaSid(1) }],
      notFoundFirst: 1,
    });
    const url = await bed.urlOf(messageId('twilio'));
    expect((await bed.get(url)).bytes.equals(samples.photo.bytes)).toBe(true);
  });

  it('opens media that Twilio answers with 404 just after its message', async () => {
    bed.twilio.addMessage({
      sid: twilioMessageSid(1),
      media: [{ ...samples.photo, sid: twilioMediaSid(1), notFoundFirst: 1 }],
    });
    expect((await bed.get(await bed.urlOf(messageId('twilio')))).status).toBe(200);
  });

  it('accepts a lasting 404 at once when it is requested again', async () => {
    bed = await beds.own({ config: { providers: { twilio: { timeout: '1500ms', retries: 0 } } } });
    const ids = [messageId('twilio')];
    expect((await bed.query(URLS, { ids })).data?.messagesWithMedia[0]?.media).toEqual([]);
    await bed.forget();
    bed.clearRequests();
    expect((await bed.query(URLS, { ids })).data?.messagesWithMedia[0]?.media).toEqual([]);
    expect(bed.twilio.requestCount).toBe(1);
  });

  it('takes an unknown message that SignalWire answers with an empty list for one without media', async () => {
    bed.signalwire.unknownMessage = 'empty';
    const { data, errors } = await bed.query(URLS, { ids: [messageId('signalwire', 404)] });
    expect([data?.messagesWithMedia[0]?.media, errors]).toEqual([[], []]);
  });

  it('uses the paths with a phone number id at Kirim when the channel has one', async () => {
    const phoneNumberId = '62811000000';
    bed = await beds.own({ kirim: { phoneNumberId }, channelKeys: { kirim: { options: { phoneNumberId } } } });
    const id = receive(bed, 'kirim');
    const { data, errors } = await bed.query(MEDIA, { ids: [id] });
    expect(errors).toEqual([]);
    const { url, mimeType } = sole(sole(data?.messagesWithMedia)?.media);
    expect(mimeType).toBe('image/jpeg');
    expect((await bed.get(url)).bytes.equals(samples.photo.bytes)).toBe(true);
    for (const { path } of bed.kirim.requests) expect(path).toMatch(/^\/v1\/62811000000\/messages\//);
  });

  it("takes Kirim's 404 for a message without media so far, and finds the media once it has arrived", async () => {
    bed.kirim.addMessage({ id: kirimMessageId(1) });
    bed.kirim.addMessage({ id: kirimMessageId(2), media: samples.photo, arrivesAfterRequests: 1 });
    const ids = [messageId('kirim', 1), messageId('kirim', 2), messageId('kirim', 3)];
    const first = await bed.query(URLS, { ids });
    expect(first.errors).toEqual([]);
    expect(first.data?.messagesWithMedia.map((message) => message?.media)).toEqual([[], [], []]);
    await bed.forget();
    const second = await bed.query(URLS, { ids });
    expect(second.data?.messagesWithMedia.map((message) => message?.media?.length)).toEqual([0, 1, 0]);
  });

  it('lists again at Kirim within seconds for a photo that arrives late, and not for one that arrived', async () => {
    bed = await beds.own();
    bed.kirim.addMessage({ id: kirimMessageId(2), media: samples.photo, arrivesAfterMs: 2_000 });
    const ids = [messageId('kirim', 2)];
    const seen = async () => sole((await bed.query(URLS, { ids })).data?.messagesWithMedia)?.media?.length;
    expect(await seen()).toBe(0);
    // Thirty seconds were the pause once; the deadline is far from both.
    for (const until = Date.now() + 20_000; (await seen()) === 0; ) {
      if (Date.now() > until) throw new Error('expected the photo within twenty seconds');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // At once, after one second, and after two more; a loaded machine makes it fewer.
    const listings = () => bed.kirim.requests.filter(({ path }) => path.endsWith('/media')).length;
    const count = listings();
    // The second query may come before the first answer is recorded.
    expect(count).toBeLessThanOrEqual(4);
    await bed.app.settled();
    await seen();
    expect(listings()).toBe(count);
  });

  it("reads Kirim's error code and request id from an envelope without message", async () => {
    bed = await beds.own({ config: { providers: { kirim: { retries: 0 } } } });
    bed.kirim.omitsErrorMessage = true;
    bed.kirim.fault = { kind: 'status', status: 403 };
    const { errors } = await bed.query(URLS, { ids: [receive(bed, 'kirim')] });
    expect(sole(errors)).toMatchObject({
      path: ['messagesWithMedia', 0, 'media'],
      extensions: {
        code: 'PROVIDER_CREDENTIALS',
        provider: 'KIRIM',
        channelId: 'wa',
        upstreamStatus: 403,
        upstreamCode: 'permission_denied',
        upstreamRequestId: expect.stringMatching(/^req_/),
      },
    });
  });
});

describe('details that a listing did not give', () => {
  beforeEach(() => {
    receiveEverywhere(bed);
    receive(bed, 'kirim', 2, samples.document);
  });

  const resourceCalls = () => bed.kirim.requests.filter(({ path }) => !path.endsWith('/media'));
  const ids = [messageId('kirim'), messageId('kirim', 2), messageId('signalwire')];

  it('cost no request while no query selects one', async () => {
    await bed.query(
      `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media {
      id status url urlExpiresAt provider providerMediaId createdAt expiresAt channel { id } message { id } } } }`,
      { ids },
    );
    expect(resourceCalls()).toEqual([]);
    expect(bed.cdn.requestCount).toBe(0);
  });

  it.each(['mimeType', 'sizeBytes', 'filename', 'caption', 'kind'])(
    'cost one request per media for %s',
    async (field) => {
      await bed.query(`query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { media { ${field} } } }`, { ids });
      expect(
        resourceCalls()
          .map(({ path }) => path)
          .sort(),
      ).toEqual([`/v1/messages/${kirimMessageId(1)}`, `/v1/messages/${kirimMessageId(2)}`].sort());
      expect(bed.signalwire.requestCount).toBe(1);
    },
  );

  it('cost one request per media for all such fields together, also when messages are repeated', async () => {
    const query = `query($ids: [ID!]!) { messagesWithMedia(ids: $ids) {
      a: media { kind mimeType sizeBytes filename caption } b: media(kinds: [IMAGE]) { mimeType sizeBytes } } }`;
    const { data, errors } = await bed.query<{ messagesWithMedia: Array<{ a: MediaData[]; b: MediaData[] }> }>(query, {
      ids: [...ids, ...ids],
    });
    expect(errors).toEqual([]);
    expect(resourceCalls()).toHaveLength(2);
    expect(bed.kirim.requestCount).toBe(4);
    const [photo, document] = data?.messagesWithMedia ?? [];
    expect(sole(photo?.a)).toMatchObject({
      kind: 'IMAGE',
      mimeType: 'image/jpeg',
      sizeBytes: samples.photo.bytes.length,
    });
    expect(sole(document?.a)).toMatchObject({
      kind: 'DOCUMENT',
      filename: 'document.pdf',
      sizeBytes: samples.document.bytes.length,
    });
  });

  it('come from the CDN alone when the message resource fails', async () => {
    bed.kirim.faults.push({ match: /messages\/[^/]+$/, fault: { kind: 'status', status: 404 } });
    const { data, errors } = await bed.query(MEDIA, { ids: [messageId('kirim')] });
    expect(errors).toEqual([]);
    const media = sole(sole(data?.messagesWithMedia)?.media);
    expect(media).toMatchObject({
      kind: 'IMAGE',
      mimeType: 'image/jpeg',
      sizeBytes: samples.photo.bytes.length,
      filename: null,
    });
  });
});

describe('entities', () => {
  const ENTITIES = `query($representations: [_Any!]!) { _entities(representations: $representations) { __typename
    ... on Message { id channelId providerMessageId media { id url } }
    ... on Media { mediaId: id providerMediaId url }
    ... on MediaChannel { channel: id provider capabilities { listsMedia } } } }`;

  interface EntitiesData {
    _entities: Array<(MessageData & MediaData & { mediaId: string; channel: string }) | null>;
  }

  beforeEach(() => {
    receiveEverywhere(bed);
  });

  it('resolve Message by either key and by both, with one call', async () => {
    const pair = { channelId: 'sms', providerMessageId: signalwireMessageSid(1) };
    const representations = [
      { __typename: 'Message', id: messageId('signalwire') },
      { __typename: 'Message', ...pair },
      { __typename: 'Message', id: messageId('signalwire'), ...pair, text: 'a field that is no key' },
    ];
    const { data, errors } = await bed.query<EntitiesData>(ENTITIES, { representations });
    expect(errors).toEqual([]);
    for (const entity of data?._entities ?? []) {
      expect(entity).toMatchObject({ __typename: 'Message', id: messageId('signalwire'), ...pair });
      expect((await bed.get(sole(entity?.media).url)).status).toBe(200);
    }
    expect(data?._entities).toHaveLength(3);
    expect(bed.signalwire.requests.filter(({ path }) => path.endsWith('Media.json'))).toHaveLength(1);
  });

  it('resolve Media and MediaChannel, and null for unknown ones', async () => {
    const listed = await bed.query(MEDIA, { ids: [messageId('twilio'), messageId('kirim')] });
    const [twilio, kirim] = (listed.data?.messagesWithMedia ?? []).map((message) => sole(message?.media));
    await bed.forget();
    bed.clearRequests();
    const representations = [
      { __typename: 'Media', id: twilio?.id },
      { __typename: 'Media', id: kirim?.id },
      { __typename: 'Media', id: 'made-up' },
      { __typename: 'MediaChannel', id: 'mms' },
      { __typename: 'MediaChannel', id: 'nobody' },
    ];
    const { data, errors } = await bed.query<EntitiesData>(ENTITIES, { representations });
    expect(errors).toEqual([]);
    expect(data?._entities).toEqual([
      expect.objectContaining({
        __typename: 'Media',
        mediaId: twilio?.id,
        url: twilio?.url,
        providerMediaId: twilioMediaSid(1),
      }),
      expect.objectContaining({ __typename: 'Media', mediaId: kirim?.id, providerMediaId: null }),
      null,
      { __typename: 'MediaChannel', channel: 'mms', provider: 'TWILIO', capabilities: { listsMedia: true } },
      null,
    ]);
    expect(bed.providerCalls).toBe(2);
  });

  it('keep two messages apart whose channel and id read the same when joined', async () => {
    const sid = 'a:b';
    bed.kirim.addMessage({ id: sid, media: samples.photo });
    const representations = [
      { __typename: 'Message', channelId: 'wa:a', providerMessageId: 'b' },
      { __typename: 'Message', channelId: 'wa', providerMessageId: sid },
    ];
    const query =
      'query($representations: [_Any!]!) { _entities(representations: $representations) { ... on Message { media { id } } } }';
    const { data, errors } = await bed.query<EntitiesData>(query, { representations });
    expect(data?._entities[0]).toEqual({ media: null });
    expect(data?._entities[1]?.media).toHaveLength(1);
    expect(sole(errors)).toMatchObject({ path: ['_entities', 0, 'media'], extensions: { code: 'CHANNEL_NOT_FOUND' } });
  });

  it('give media(id) for a listed id, at the cost of one listing', async () => {
    const listed = await bed.query(MEDIA, { ids: [messageId('signalwire')] });
    const { id, url } = sole(sole(listed.data?.messagesWithMedia)?.media);
    await bed.forget();
    bed.clearRequests();
    const { data, errors } = await bed.query<{ media: MediaData }>(
      'query($id: ID!) { media(id: $id) { id url kind message { id } } }',
      { id },
    );
    expect(errors).toEqual([]);
    expect(data?.media).toEqual({ id, url, kind: 'IMAGE', message: { id: messageId('signalwire') } });
    expect(bed.providerCalls).toBe(1);
  });

  it("take an id without a channel as a provider's bare id, whose channel is unknown without a catalogue", async () => {
    const ids = ['wamid.HBgL123', messageId('signalwire')];
    const media = await bed.query(URLS, { ids });
    expect(media.errors).toEqual([]);
    expect(media.data?.messagesWithMedia[0]).toEqual({ id: 'wamid.HBgL123', media: [] });
    expect(bed.kirim.requestCount + bed.twilio.requestCount).toBe(0);
    const { data, errors } = await bed.query('query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id channelId } }', {
      ids,
    });
    expect(data?.messagesWithMedia).toEqual([null, { id: messageId('signalwire'), channelId: 'sms' }]);
    expect(sole(errors)).toMatchObject({
      path: ['messagesWithMedia', 0, 'channelId'],
      extensions: { code: 'MESSAGE_NOT_FOUND' },
    });
  });
});

describe('the supergraph', () => {
  const neighbours = {
    transparent: 'type Message @key(fields: "id") { id: ID! text: String }',
    bare: 'type Message @key(fields: "id") { id: ID! text: String }',
    owned: `type Message @key(fields: "channelId providerMessageId") {
      id: ID! channelId: ID! providerMessageId: ID! text: String }`,
  };

  it.each(['transparent', 'bare', 'owned'] as const)(
    'composes with a neighbour that owns Message, messageIds %s',
    async (messageIds) => {
      bed = await beds.own({ config: { federation: { messageIds } } });
      const { data } = await bed.query<{ _service: { sdl: string } }>('{ _service { sdl } }');
      const neighbour = `extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key", "@shareable"])
      type Query { messages: [Message!]! } ${neighbours[messageIds]}`;
      const { errors, supergraphSdl } = composeServices([
        { name: 'media', url: 'http://media', typeDefs: parse(data?._service.sdl ?? '') },
        { name: 'messages', url: 'http://messages', typeDefs: parse(neighbour) },
      ]);
      expect(errors ?? []).toEqual([]);
      expect(supergraphSdl).toContain('text: String @join__field(graph: MESSAGES)');
    },
  );

  it('leaves Message.id and its key to the other subgraph when that owns the ids', async () => {
    bed = await beds.own({ config: { federation: { messageIds: 'owned' } } });
    const { data } = await bed.query<{ _service: { sdl: string } }>('{ _service { sdl } }');
    const message = /type Message[^}]*\}/.exec(data?._service.sdl ?? '')?.[0] ?? '';
    expect(message).toContain('@key(fields: "channelId providerMessageId")');
    expect(message).not.toMatch(/@key\(fields: "id"\)|^\s*id:/m);
    const representations = [{ __typename: 'Message', channelId: 'sms', providerMessageId: signalwireMessageSid(1) }];
    receiveEverywhere(bed);
    const query = `query($representations: [_Any!]!) { _entities(representations: $representations) {
      ... on Message { media { url message { channelId providerMessageId } } } } }`;
    const { data: resolved, errors } = await bed.query<{ _entities: MessageData[] }>(query, { representations });
    expect(errors).toEqual([]);
    expect(sole(sole(resolved?._entities).media).message).toEqual({
      channelId: 'sms',
      providerMessageId: signalwireMessageSid(1),
    });
  });

  it('gets bare ids in Media.message when Message has bare ids as keys', async () => {
    bed = await beds.own({ config: { federation: { messageIds: 'bare' } } });
    receiveEverywhere(bed);
    const { data } = await bed.query(MEDIA, { ids: [messageId('signalwire'), messageId('kirim')] });
    expect(data?.messagesWithMedia.map((message) => message?.id)).toEqual([
      messageId('signalwire'),
      messageId('kirim'),
    ]);
    const written = data?.messagesWithMedia.map((message) => sole(message?.media).message?.id);
    expect(written).toEqual([signalwireMessageSid(1), kirimMessageId(1)]);
  });

  it('gets a trace from the subgraph when it asks for one, with the same answer', async () => {
    const ids = [receive(bed, 'signalwire'), 'nobody:1'];
    const query = 'query($ids: [ID!]!) { messagesWithMedia(ids: $ids) { id media { id kind url } } }';
    const plain = await bed.query(query, { ids });
    const traced = await bed.query(query, { ids }, { headers: { 'apollo-federation-include-trace': 'ftv1' } });
    expect(JSON.parse(traced.text).extensions.ftv1).toEqual(expect.any(String));
    expect(traced.data).toEqual(plain.data);
    expect(traced.errors.map(({ extensions: { requestId: _, ...rest }, ...error }) => ({ ...error, rest }))).toEqual(
      plain.errors.map(({ extensions: { requestId: _, ...rest }, ...error }) => ({ ...error, rest })),
    );
    expect(JSON.parse(plain.text)).not.toHaveProperty('extensions');
  });
});

function withoutMoment(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const {
    date: _date,
    'x-request-id': _requestId,
    'cache-control': cacheControl,
    connection: _connection,
    ...others
  } = headers;
  const { 'keep-alive': _keepAlive, ...rest } = others;
  // max-age counts down between two requests.
  return { ...rest, 'cache-control': String(cacheControl).replace(/max-age=\d+/, 'max-age=n') };
}
