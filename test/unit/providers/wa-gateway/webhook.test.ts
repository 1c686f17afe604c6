import { createHmac } from 'node:crypto';
import { createWaGatewayWebhook } from '../../../../src/providers/wa-gateway/webhook.js';
import {
  BROKEN_JSON,
  expectNotQuoted,
  expectRejected,
  mediaIn,
  NOW,
  parseJsonBody,
  requestOf,
  thrownBy,
} from '../../webhook-requests.js';

const SECRET = 'gateway-secret';
const receiver = createWaGatewayWebhook({
  channel: { id: 'line', provider: 'wa-gateway' },
  secret: SECRET,
  signatureHeader: 'X-WA-Signature',
});

const APP = '5d0c9a34-7b1e-4f7e-9a52-1c8f2c1b7e10';
const DEVICE = '0b6d2f8a-44c0-4c39-8a6e-5c9c3f8d2a77';
const PATH = `media/${APP}/${DEVICE}-3EB0C767D26A1D8B.bin`;

function event(payload: object, overrides: object = {}) {
  return {
    event: 'message',
    app_id: APP,
    device_id: DEVICE,
    timestamp: '2026-11-21T11:59:59Z',
    request_id: 'req_1',
    payload,
    ...overrides,
  };
}

const PAYLOAD = { message_id: '3EB0C767D26A1D8B', direction: 'inbound', media_path: PATH };

describe("the gateway's signature", () => {
  const body = JSON.stringify(event(PAYLOAD));
  const hex = createHmac('sha256', SECRET).update(body).digest('hex');

  it.each([hex, hex.toUpperCase(), `sha256=${hex}`])('is accepted: %s', (header) => {
    expect(() => receiver.verify(requestOf(body, { 'x-wa-signature': header }), NOW)).not.toThrow();
  });

  it.each([
    ['of another secret', createHmac('sha256', 'forged').update(body).digest('hex')],
    ['of another scheme', `sha512=${hex}`],
    ['cut short', hex.slice(2)],
    ['sent twice', `${hex}, ${hex}`],
    ['empty', ''],
  ])('is refused %s', (_case, header) => {
    expectRejected(receiver, requestOf(body, { 'x-wa-signature': header }), [SECRET, hex]);
  });

  it.each([
    ['truncated', body.slice(0, -1)],
    ['re-encoded', JSON.stringify(JSON.parse(body), null, 2)],
    ['emptied', ''],
  ])('does not match a body that was %s', (_case, changedBody) => {
    expectRejected(receiver, requestOf(changedBody, { 'x-wa-signature': hex }), [SECRET, hex]);
  });

  it('is refused where it is missing', () => expectRejected(receiver, requestOf(body, {}), [SECRET]));
});

describe("the gateway's deliveries", () => {
  it('are named by the request id', () => {
    expect(receiver.deliveryId(requestOf('', { 'x-wa-request-id': 'req_1' }))).toBe('req_1');
  });

  it.each([undefined, '', 'a b', 'x'.repeat(201), 'a, a'])('are not named by %j', (id) => {
    expect(receiver.deliveryId(requestOf('', { 'x-wa-request-id': id }))).toBeNull();
  });
});

describe("the gateway's events", () => {
  const ANNOUNCED = {
    providerMessageId: '3EB0C767D26A1D8B',
    providerMediaId: PATH,
    downloadUrl: null,
    status: 'READY',
    kind: null,
    mimeType: null,
    sizeBytes: null,
    sha256: null,
    filename: null,
    caption: null,
    createdAt: new Date('2026-11-21T11:59:59Z'),
    availableUntil: null,
    direction: 'INBOUND',
  };

  it.each<[string, object, object]>([
    ['the path alone', {}, {}],
    ['outbound', { direction: 'outbound' }, { direction: 'OUTBOUND' }],
    ['no direction', { direction: undefined, from: '628123@s.whatsapp.net' }, { direction: undefined }],
    ['from a number', { from: '6281234567890@s.whatsapp.net', to: '1@s.whatsapp.net' }, { contact: '+6281234567890' }],
    ['from a device of a number', { from: '6281234567890:12@s.whatsapp.net' }, { contact: '+6281234567890' }],
    ['from a hidden number', { from: '123456789012345@lid' }, { contact: '123456789012345@lid' }],
    ['from a group', { from: '120363041234567890@g.us' }, { contact: '120363041234567890@g.us' }],
    [
      'to a number',
      { direction: 'outbound', from: '1@s.whatsapp.net', to: '6281234567890@s.whatsapp.net' },
      { direction: 'OUTBOUND', contact: '+6281234567890' },
    ],
    ['from an invalid sender', { from: { user: '1' } }, {}],
    [
      'one spelling',
      { type: 'image', mime_type: 'image/jpeg', file_name: 'a.jpg', file_size: 1024, caption: 'hi' },
      { kind: 'IMAGE', mimeType: 'image/jpeg', filename: 'a.jpg', sizeBytes: 1024, caption: 'hi' },
    ],
    [
      'the other spelling',
      { type: 'document', mimetype: 'application/pdf', filename: 'a.pdf', size: '1024' },
      { kind: 'DOCUMENT', mimeType: 'application/pdf', filename: 'a.pdf', sizeBytes: 1024 },
    ],
    [
      'a voice message',
      { type: 'ptt', mimetype: 'audio/ogg; codecs=opus' },
      { kind: 'AUDIO', mimeType: 'audio/ogg; codecs=opus', voice: true },
    ],
    ['a sound that is none', { type: 'audio', ptt: false }, { kind: 'AUDIO', voice: false }],
    ['a type that only the bytes know', { mime_type: 'application/octet-stream' }, {}],
    ['a kind that only the type tells', { mime_type: 'video/mp4' }, { kind: 'VIDEO', mimeType: 'video/mp4' }],
    ['sizes that are none', { file_size: -5 }, {}],
  ])('announce the media: %s', (_case, payload, difference) => {
    expect(parseJsonBody(receiver, event({ ...PAYLOAD, ...payload }))).toEqual({
      events: [
        { type: 'mediaAnnounced', providerMessageId: '3EB0C767D26A1D8B', media: [{ ...ANNOUNCED, ...difference }] },
      ],
      faults: [],
    });
  });

  it.each<[unknown, Date | null]>([
    [1763726399, new Date(1763726399_000)],
    ['1763726399', new Date(1763726399_000)],
    [1763726399123, new Date(1763726399_123)],
    ['yesterday', null],
    [undefined, null],
  ])('have the time as %j', (timestamp, createdAt) => {
    expect(mediaIn(parseJsonBody(receiver, event(PAYLOAD, { timestamp })))[0]?.createdAt).toEqual(createdAt);
  });

  it.each<[string, unknown]>([
    ['a path that is null', event({ ...PAYLOAD, media_path: null })],
    ['a path that is empty', event({ ...PAYLOAD, media_path: '' })],
    ['a text', event({ message_id: 'x', type: 'text' })],
    ['a receipt', event({ message_id: 'x' }, { event: 'receipt' })],
    ['a revocation', event(PAYLOAD, { event: 'message_revoked' })],
    ['a device that is there', event({}, { event: 'device_connected' })],
  ])('that are not about media have no events: %s', (_case, body) => {
    expect(parseJsonBody(receiver, body)).toEqual({ events: [], faults: [] });
  });

  it.each<[string, object, object]>([
    [
      'by its type',
      { type: 'video', file_size: 70_000_000, file_name: 'a.mp4' },
      { kind: 'VIDEO', sizeBytes: 70_000_000, filename: 'a.mp4' },
    ],
    ['by its MIME type', { mime_type: 'video/mp4' }, { kind: 'VIDEO', mimeType: 'video/mp4' }],
    [
      'by its other MIME type',
      { mimetype: 'application/zip', media_path: '' },
      { kind: 'DOCUMENT', mimeType: 'application/zip' },
    ],
    ['by its name', { filename: 'film.mkv', media_path: null }, { filename: 'film.mkv' }],
  ])('above the size limit announce one media that is FAILED, with %s', (_case, payload, difference) => {
    const { events, faults } = parseJsonBody(receiver, event({ ...PAYLOAD, media_path: undefined, ...payload }));
    expect(faults).toEqual([]);
    const fault = { code: 'MEDIA_TOO_LARGE', message: expect.any(String), retryable: false };
    expect(mediaIn({ events })).toEqual([
      { ...ANNOUNCED, providerMediaId: null, status: 'FAILED', fault, ...difference },
    ]);
  });

  it.each([
    ['the documented example', { payload: { media_path: PATH } }],
    ['an event without a device', { event: 'message', payload: { media_path: PATH } }],
    ['a message id of its own', { payload: { media_path: PATH, message_id: '3EB0C767D26A1D8B' } }],
    ['an event without a message id', event({ media_path: PATH }, { timestamp: undefined })],
  ])('may omit details that the path contains: %s', (_case, body) => {
    expect(parseJsonBody(receiver, body)).toEqual({
      events: [
        {
          type: 'mediaAnnounced',
          providerMessageId: '3EB0C767D26A1D8B',
          media: [{ ...ANNOUNCED, createdAt: null, direction: undefined }],
        },
      ],
      faults: [],
    });
  });

  it('accept the example of the media page', () => {
    const path =
      'media/b1580b43-f254-4a5e-bad3-6b16f49517d9/367ec376-2c93-45bc-ad97-bbbb42507021-AC4A3F9F8767CFB3DC015AA3A4805AC9.bin';
    expect(mediaIn(parseJsonBody(receiver, { payload: { media_path: path } }))).toEqual([
      expect.objectContaining({
        providerMessageId: 'AC4A3F9F8767CFB3DC015AA3A4805AC9',
        providerMediaId: path,
        status: 'READY',
      }),
    ]);
  });

  it.each([
    'media/app/device.bin',
    'media/app-3EB0.bin',
    'media/../device-3EB0.bin',
    'media/app/../device-3EB0.bin',
    'media/app/device-3EB0.bin/..',
    'media/app/device-%2e%2e.bin',
    'media/app/device-3EB0.bin?x',
    `media/app/device-${'A'.repeat(400)}`,
    '/media/app/device-3EB0.bin',
    '',
  ])('with only the path %j are refused, or have no events', (path) => {
    const body = { payload: { media_path: path } };
    if (path === '') expect(parseJsonBody(receiver, body)).toEqual({ events: [], faults: [] });
    else expect(thrownBy(() => parseJsonBody(receiver, body)).code).toBe('PROVIDER_PROTOCOL');
  });

  it('report a removed device', () => {
    expect(parseJsonBody(receiver, event({}, { event: 'device_destroyed', payload: undefined }))).toEqual({
      events: [{ type: 'deviceDestroyed', providerMediaIdPrefix: `media/${APP}/${DEVICE}-` }],
      faults: [],
    });
  });
});

describe("the gateway's invalid events", () => {
  it.each<[string, object]>([
    ['no device', { device_id: undefined }],
    ['an empty device', { device_id: '' }],
    ['a device that is a pattern', { device_id: '%' }],
    ['a device with a slash', { device_id: 'a/b' }],
    ['an app of dots', { app_id: '..' }],
    ['an app that is a number', { app_id: 5 }],
  ])('with %s are refused', (_case, overrides) => {
    expect(thrownBy(() => parseJsonBody(receiver, event(PAYLOAD, overrides))).code).toBe('PROVIDER_PROTOCOL');
    const destroyed = event({}, { event: 'device_destroyed', ...overrides });
    expect(thrownBy(() => parseJsonBody(receiver, destroyed)).code).toBe('PROVIDER_PROTOCOL');
  });

  it.each([
    `media/${APP.replace('5', '6')}/${DEVICE}-A.bin`,
    `media/${APP}/${DEVICE.replace('0', '1')}-A.bin`,
    `media/${APP}/${DEVICE}-`,
    `/media/${APP}/${DEVICE}-A.bin`,
    `media/${APP}/${DEVICE}-A/../../../other/x.bin`,
    `media/${APP}/${DEVICE}-A/./x.bin`,
    `media/${APP}/${DEVICE}-A/%2e%2e/x.bin`,
    `media/${APP}/${DEVICE}-A/%252e%252e/x.bin`,
    `media/${APP}/${DEVICE}-A%2f..%2fx.bin`,
    `media/${APP}/${DEVICE}-A\\..\\x.bin`,
    `media/${APP}/${DEVICE}-A.bin?x=1`,
    `media/${APP}/${DEVICE}-A.bin#x`,
    `media/${APP}/${DEVICE}-A\r\nX: y`,
    `media/${APP}/${DEVICE}-\0`,
    `media/${APP}/${DEVICE}-é.bin`,
    `media/${APP}/${DEVICE}-${'A'.repeat(400)}`,
    'https://evil.example/x',
    '../../etc/passwd',
  ])('with the path %j are refused', (path) => {
    const error = thrownBy(() => parseJsonBody(receiver, event({ ...PAYLOAD, media_path: path })));
    expect(error.code).toBe('PROVIDER_PROTOCOL');
    expectNotQuoted(error, [path]);
  });

  it.each(['', '..', 'a\nb', 'x'.repeat(241)])('with the message id %j are refused', (id) => {
    const error = thrownBy(() => parseJsonBody(receiver, event({ ...PAYLOAD, message_id: id })));
    expect(error.code).toBe('PROVIDER_PROTOCOL');
  });

  it.each(BROKEN_JSON)('are refused: %s', (_case, rawBody, contentType) => {
    const error = thrownBy(() => receiver.parse(rawBody, contentType, NOW));
    expect(error.code).toBe('PROVIDER_PROTOCOL');
    expectNotQuoted(error, ['secret-words']);
  });
});
