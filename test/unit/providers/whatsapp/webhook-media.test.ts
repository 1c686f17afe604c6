import {
  BROKEN_JSON,
  expectNotQuoted,
  faultCodes,
  mediaIn,
  NOW,
  parseJsonBody,
  requestOf,
  thrownBy,
  WEEK_MS,
} from '../../webhook-requests.js';
import { bodyOf, chakra, change, cloud, HASH, IMAGE, mediaOf, message, SENT_AT } from './webhook-setup.js';

describe("Meta's bodies", () => {
  const MEDIA_FIELDS = { id: '77', sha256: HASH.toString('base64') };

  it('announce a media with all its details, also through Chakra', () => {
    for (const receiver of [cloud, chakra]) {
      expect(parseJsonBody(receiver, bodyOf([IMAGE]))).toEqual({
        events: [
          {
            type: 'mediaAnnounced',
            providerMessageId: 'wamid.image',
            media: [
              {
                providerMessageId: 'wamid.image',
                providerMediaId: '1479537139650973',
                downloadUrl: null,
                status: 'READY',
                kind: 'IMAGE',
                mimeType: 'image/jpeg',
                sizeBytes: null,
                sha256: '89'.repeat(32),
                filename: null,
                caption: 'Taj Mahal 🕌',
                createdAt: new Date(SENT_AT * 1000),
                availableUntil: new Date(SENT_AT * 1000 + WEEK_MS),
                contact: '+628123',
                direction: 'INBOUND',
              },
            ],
          },
        ],
        faults: [],
      });
    }
  });

  it.each<[string, object, object]>([
    ['video', { mime_type: 'video/mp4' }, { kind: 'VIDEO', mimeType: 'video/mp4' }],
    [
      'audio',
      { mime_type: 'audio/ogg; codecs=opus', voice: true },
      { kind: 'AUDIO', mimeType: 'audio/ogg; codecs=opus' },
    ],
    [
      'document',
      { mime_type: 'image/png', filename: 'plan.png', caption: 'the plan' },
      { kind: 'DOCUMENT', mimeType: 'image/png', filename: 'plan.png', caption: 'the plan' },
    ],
    ['sticker', { mime_type: 'image/webp', animated: true }, { kind: 'STICKER', mimeType: 'image/webp' }],
  ])('have the kind of the type of the message: %s', (type, media, expected) => {
    const [announced] = mediaIn(parseJsonBody(cloud, bodyOf([message(type, { ...MEDIA_FIELDS, ...media })])));
    expect(announced).toMatchObject(expected);
  });

  it.each<[string, object, object]>([
    ['a hash in hex', { sha256: HASH.toString('hex').toUpperCase() }, { sha256: '89'.repeat(32) }],
    ['a hash that is none', { sha256: 'abc' }, { sha256: null }],
    ['a type that is none', { mime_type: 'jpeg' }, { mimeType: null }],
    ['a type without end', { mime_type: `image/png;${' a=b;'.repeat(100_000)}` }, { mimeType: null }],
    ['a caption with NUL and half a character', { caption: 'a\0b\ud800' }, { caption: 'ab\ufffd' }],
    ['a caption of a megabyte', { caption: 'x'.repeat(1_000_000) }, { caption: 'x'.repeat(4_096) }],
    ['values of other types', { caption: 5, filename: {}, mime_type: [] }, { caption: null, filename: null }],
  ])('ignore invalid details: %s', (_case, media, expected) => {
    const { events, faults } = parseJsonBody(cloud, bodyOf([message('image', { ...MEDIA_FIELDS, ...media })]));
    expect(faults).toEqual([]);
    expect(mediaIn({ events })[0]).toMatchObject(expected);
  });

  it.each([undefined, '', 'soon', '-1', '99999999999999999999', 0, {}])('accept the timestamp %j', (timestamp) => {
    const [media] = mediaIn(parseJsonBody(cloud, bodyOf([{ ...IMAGE, timestamp }])));
    expect(media).toMatchObject({ createdAt: null, availableUntil: new Date(NOW.getTime() + WEEK_MS) });
  });

  it('may have several entries, changes and messages', () => {
    const messages = (...ids: string[]) => ids.map((id) => ({ ...IMAGE, id }));
    const body = {
      object: 'whatsapp_business_account',
      entry: [
        { id: 'A', changes: [change(messages('a', 'b')), change(messages('c'))] },
        { id: 'B', changes: [change(messages('d'))] },
      ],
    };
    expect(mediaIn(parseJsonBody(cloud, body)).map(({ providerMessageId }) => providerMessageId)).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('may have a thousand media', () => {
    const messages = Array.from({ length: 1_000 }, (_, at) => ({ ...IMAGE, id: `wamid.${at}` }));
    expect(mediaIn(parseJsonBody(cloud, bodyOf(messages)))).toHaveLength(1_000);
  });

  it.each<[string, unknown]>([
    ['no object', 5],
    ['null', null],
    ['no type', { id: 'wamid.1' }],
    ['no media where the type says so', { id: 'wamid.1', type: 'image' }],
    ['no id', { ...IMAGE, id: undefined }],
    ['an id with a dot segment', { ...IMAGE, id: 'a/%2e%2e/b' }],
    ['no media id', message('image', { mime_type: 'image/png' })],
    ['a media id that leads elsewhere', message('image', { id: '../me?x=' })],
    ['a media id without end', message('image', { id: '1'.repeat(71) })],
    ['a media id that is a number', message('image', { id: 12 })],
  ])('with one invalid message report it and parse the others: %s', (_case, bad) => {
    const parsing = parseJsonBody(cloud, bodyOf([IMAGE, bad, { ...IMAGE, id: 'wamid.after' }]));
    expect(faultCodes(parsing)).toEqual(['PROVIDER_PROTOCOL']);
    expect(mediaIn(parsing).map(({ providerMessageId }) => providerMessageId)).toEqual(['wamid.image', 'wamid.after']);
  });

  it('with one invalid entry and one invalid change parse the others', () => {
    const body = { object: 'whatsapp_business_account', entry: [5, { changes: ['x', change([IMAGE])] }] };
    expect(faultCodes(parseJsonBody(cloud, body))).toEqual(['PROVIDER_PROTOCOL', 'PROVIDER_PROTOCOL']);
    expect(mediaIn(parseJsonBody(cloud, body))).toHaveLength(1);
  });

  it.each<[string, unknown]>([
    ['statuses', { statuses: [{ id: 'wamid.1', status: 'delivered' }] }],
    ['a text', { messages: [{ id: 'wamid.1', type: 'text', text: { body: 'hi' } }] }],
    ['a location', { messages: [{ id: 'wamid.1', type: 'location', location: {} }] }],
    [
      'what WhatsApp does not support',
      { messages: [{ id: 'wamid.1', type: 'unsupported', errors: [{ code: 131051 }] }] },
    ],
    ['a type named like a property of every object', { messages: [{ id: 'wamid.1', type: 'constructor' }] }],
    ['no value', null],
  ])('without media have no events: %s', (_case, value) => {
    const entry = [{ id: 'WABA', changes: [{ field: 'messages', value }] }];
    expect(parseJsonBody(cloud, { object: 'whatsapp_business_account', entry })).toEqual({ events: [], faults: [] });
  });

  it('of other fields, objects and numbers are ignored', () => {
    const nothing = { events: [], faults: [] };
    const field = { ...change([IMAGE]), field: 'account_update' };
    expect(parseJsonBody(cloud, { object: 'whatsapp_business_account', entry: [{ changes: [field] }] })).toEqual(
      nothing,
    );
    expect(parseJsonBody(cloud, { object: 'page', entry: [{ messaging: [] }] })).toEqual(nothing);
    expect(parseJsonBody(cloud, bodyOf([IMAGE], '999'))).toEqual(nothing);
    expect(mediaIn(parseJsonBody(chakra, bodyOf([IMAGE], '999')))).toHaveLength(1);
  });

  it.each([true, false, undefined, 'yes'])('report a voice note only where stated: %j', (voice) => {
    const [media] = mediaOf(bodyOf([message('audio', { ...MEDIA_FIELDS, mime_type: 'audio/ogg', voice })]));
    expect(media?.voice).toBe(typeof voice === 'boolean' ? voice : undefined);
  });

  it.each(BROKEN_JSON)('are refused: %s', (_case, rawBody, contentType) => {
    for (const receiver of [cloud, chakra]) {
      const error = thrownBy(() => receiver.parse(rawBody, contentType, NOW));
      expect(error.code).toBe('PROVIDER_PROTOCOL');
      expectNotQuoted(error, ['secret-words']);
    }
  });

  it('have no delivery id', () => {
    expect(cloud.deliveryId(requestOf('', { 'x-request-id': 'a' }))).toBeNull();
    expect(chakra.deliveryId(requestOf('', { 'x-request-id': 'a' }))).toBeNull();
  });
});

describe("Meta's messages with errors", () => {
  const tooLarge = {
    code: 131052,
    title: 'The media file is too large. The maximum file size currently accepted is 100 MB.',
  };
  const notDownloaded = {
    code: 131052,
    title: 'Media download error',
    error_data: { details: 'Failed to download the media.' },
  };
  const notSupported = {
    code: 131051,
    title: 'Message type unknown',
    error_data: { details: 'Message type is currently not supported.' },
  };
  const notUploaded = { code: '131053', message: 'Media upload error' };

  it.each<[string, object, object, object]>([
    [
      'a picture with an id',
      { ...IMAGE, errors: [notDownloaded] },
      { kind: 'IMAGE', providerMediaId: '1479537139650973', caption: 'Taj Mahal 🕌' },
      { code: 'PROVIDER_REJECTED', retryable: true },
    ],
    [
      'a picture without one',
      { ...IMAGE, image: {}, errors: [notDownloaded] },
      { kind: 'IMAGE', providerMediaId: null },
      { code: 'PROVIDER_REJECTED', retryable: false },
    ],
    [
      'a video without its object',
      { from: '628123', id: 'wamid.image', timestamp: String(SENT_AT), type: 'video', errors: [notUploaded] },
      { kind: 'VIDEO' },
      { code: 'PROVIDER_REJECTED' },
    ],
    [
      'a document that is too large',
      { from: '628123', id: 'wamid.image', timestamp: String(SENT_AT), type: 'document', errors: [tooLarge] },
      { kind: 'DOCUMENT' },
      { code: 'MEDIA_TOO_LARGE', retryable: false },
    ],
    [
      'what is unsupported and too large',
      { from: '628123', id: 'wamid.image', timestamp: String(SENT_AT), type: 'unsupported', errors: [tooLarge] },
      { kind: null },
      { code: 'MEDIA_TOO_LARGE' },
    ],
    [
      'an unsupported picture',
      {
        from: '628123',
        id: 'wamid.image',
        timestamp: String(SENT_AT),
        type: 'unsupported',
        unsupported: { type: 'image' },
        errors: [notSupported],
      },
      { kind: 'IMAGE' },
      { code: 'CONTENT_TYPE_NOT_ALLOWED', retryable: false },
    ],
    [
      'a round video',
      {
        from: '628123',
        id: 'wamid.image',
        timestamp: String(SENT_AT),
        type: 'unsupported',
        unsupported: { type: 'video_note' },
      },
      { kind: 'VIDEO' },
      { code: 'CONTENT_TYPE_NOT_ALLOWED' },
    ],
    [
      'an unknown message with a sticker in it',
      { ...IMAGE, type: 'unknown', image: undefined, sticker: { id: '5' }, errors: [notSupported] },
      { kind: 'STICKER', providerMediaId: '5' },
      { code: 'CONTENT_TYPE_NOT_ALLOWED' },
    ],
    ['errors of another shape', { ...IMAGE, errors: [5, null, {}, { code: -1, title: {} }] }, { kind: 'IMAGE' }, {}],
  ])('announce one FAILED media: %s', (_case, message, media, fault) => {
    const { events, faults } = parseJsonBody(cloud, bodyOf([message]));
    expect(faults).toEqual([]);
    expect(mediaIn({ events })).toEqual([
      expect.objectContaining({
        providerMessageId: 'wamid.image',
        status: 'FAILED',
        contact: '+628123',
        direction: 'INBOUND',
        createdAt: new Date(SENT_AT * 1000),
        ...media,
        fault: expect.objectContaining(fault),
      }),
    ]);
    expect(JSON.stringify(events)).not.toMatch(/100 MB|Failed to download|not supported/);
  });

  it.each<[string, object]>([
    ['what is unavailable', { id: 'wamid.1', type: 'unsupported', errors: [{ code: 131060 }] }],
    ['a poll', { id: 'wamid.1', type: 'unsupported', unsupported: { type: 'poll' }, errors: [notSupported] }],
    ['a text', { id: 'wamid.1', type: 'text', text: { body: 'hi' }, errors: [notSupported] }],
    ['an empty list', { id: 'wamid.1', type: 'unknown', errors: [] }],
  ])('have no event without a media: %s', (_case, message) => {
    expect(parseJsonBody(cloud, bodyOf([message]))).toEqual({ events: [], faults: [] });
  });
});
