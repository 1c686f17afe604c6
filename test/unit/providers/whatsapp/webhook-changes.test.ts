import { faultCodes, mediaIn, NOW, parseJsonBody, WEEK_MS } from '../../webhook-requests.js';
import { chakra, cloud, IMAGE, mediaOf, SENT_AT } from './webhook-setup.js';

const BUSINESS = '15550783881';
const meta = (field: string, value: object) => ({
  object: 'whatsapp_business_account',
  entry: [
    {
      id: 'WABA',
      changes: [
        {
          field,
          value: {
            messaging_product: 'whatsapp',
            metadata: { display_phone_number: BUSINESS, phone_number_id: '100200300' },
            ...value,
          },
        },
      ],
    },
  ],
});

describe("Meta's echoes and histories", () => {
  it.each<[string, object]>([
    ['smb_message_echoes', { message_echoes: [{ ...IMAGE, from: BUSINESS, to: '628123' }] }],
    ['smb_message_echoes', { smb_message_echoes: [{ ...IMAGE, from: BUSINESS, to: '+628123' }] }],
    ['smb_message_echoes', { messages: [{ ...IMAGE, from: undefined, to: '628123' }] }],
    ['messages', { messages: [{ ...IMAGE, from: BUSINESS, to: '628123' }] }],
    [
      'messages',
      {
        metadata: { display_phone_number: '+1 (555) 078-3881' },
        messages: [{ ...IMAGE, from: BUSINESS, to: '628123' }],
      },
    ],
    ['smb_message_echoes', { contacts: [{ wa_id: '628123' }], message_echoes: [{ ...IMAGE, from: BUSINESS }] }],
    [
      'history',
      {
        history: [
          {
            metadata: { phase: 0 },
            threads: [{ id: '628123', messages: [{ ...IMAGE, from: BUSINESS, history_context: { status: 'READ' } }] }],
          },
        ],
      },
    ],
    ['history', { metadata: {}, history: [{ threads: [{ id: '628123', messages: [{ ...IMAGE, from: BUSINESS }] }] }] }],
    ['history', { metadata: {}, messages: [{ ...IMAGE, from: '1999', to: '628123' }] }],
  ])('that the business sent itself are OUTBOUND: %s %j', (field, value) => {
    expect(mediaOf(meta(field, value))).toEqual([
      expect.objectContaining({
        status: 'READY',
        providerMediaId: '1479537139650973',
        direction: 'OUTBOUND',
        contact: '+628123',
      }),
    ]);
  });

  it.each<[string, object]>([
    ['history', { history: [{ threads: [{ id: '628123', messages: [{ id: 'wamid.t', type: 'text' }, IMAGE] }] }] }],
    ['history', { messages: [IMAGE] }],
    ['messages', { messages: [{ ...IMAGE, to: BUSINESS }] }],
    ['messages', { contacts: [{ wa_id: '628123' }], messages: [{ ...IMAGE, from: undefined }] }],
  ])('that the customer sent are INBOUND: %s %j', (field, value) => {
    expect(mediaOf(meta(field, value))).toEqual([
      expect.objectContaining({ direction: 'INBOUND', contact: '+628123' }),
    ]);
  });

  it("keep a user's id where there is no number", () => {
    const value = { messages: [{ ...IMAGE, from: undefined, from_user_id: 'US.13491208655302741918' }] };
    expect(mediaOf(meta('messages', value))[0]?.contact).toBe('US.13491208655302741918');
  });

  it('of a history are available for seven days from now, and placeholders are not', () => {
    const old = { ...IMAGE, timestamp: String(SENT_AT - 12 * 86_400) };
    const placeholder = { from: '628123', id: 'wamid.old', timestamp: '1739230970', type: 'media_placeholder' };
    const chunk = { history: [{ threads: [{ id: '628123', messages: [old, placeholder] }] }] };
    expect(mediaOf(meta('history', chunk))).toEqual([
      expect.objectContaining({ status: 'READY', availableUntil: new Date(NOW.getTime() + WEEK_MS) }),
      expect.objectContaining({
        providerMessageId: 'wamid.old',
        providerMediaId: null,
        status: 'FAILED',
        fault: expect.objectContaining({ code: 'MEDIA_NOT_FOUND', retryable: false }),
      }),
    ]);
  });

  it.each<[string, object]>([
    ['a business that shares none', { history: [{ errors: [{ code: 2593109 }] }] }],
    ['an empty thread', { history: [{ threads: [{ id: '628123' }] }] }],
    ['an empty history', { history: [] }],
  ])('of a history without media have no events: %s', (_case, value) => {
    expect(parseJsonBody(cloud, meta('history', value))).toEqual({ events: [], faults: [] });
  });

  it('of a history of another shape are faults and do not affect others', () => {
    const threads = [5, { id: '1', messages: 'x' }, { id: '628123', messages: [IMAGE] }];
    const parsing = parseJsonBody(cloud, meta('history', { history: ['x', { threads }, { threads: {} }] }));
    expect(mediaIn(parsing)).toHaveLength(1);
    expect(new Set(faultCodes(parsing))).toEqual(new Set(['PROVIDER_PROTOCOL']));
  });
});

describe("Meta's edits and revocations", () => {
  it.each<[string, object | undefined, string | null]>([
    ['a caption', { type: 'image', image: { id: '1', caption: 'right' } }, 'right'],
    ['no caption any more', { type: 'video', video: { id: '1' } }, null],
    ['an empty caption', { type: 'document', document: { caption: '' } }, null],
    ['a text', { context: { id: 'M0' }, type: 'text', text: { body: 'right' } }, 'right'],
    ['a long one', { type: 'image', image: { caption: 'x'.repeat(10_000) } }, 'x'.repeat(4_096)],
  ])('report the new caption: %s', (_case, content, caption) => {
    const edit = {
      from: '628123',
      id: 'wamid.edit',
      timestamp: String(SENT_AT),
      type: 'edit',
      edit: { original_message_id: 'wamid.image', message: content },
    };
    const expected = { events: [{ type: 'captionEdited', providerMessageId: 'wamid.image', caption }], faults: [] };
    expect(parseJsonBody(cloud, meta('messages', { messages: [edit] }))).toEqual(expected);
    expect(parseJsonBody(cloud, meta('smb_message_echoes', { message_echoes: [edit] }))).toEqual(expected);
  });

  it('report a revocation and its time', () => {
    const revoke = {
      from: '628123',
      id: 'wamid.revoke',
      timestamp: String(SENT_AT),
      type: 'revoke',
      revoke: { original_message_id: 'wamid.image' },
    };
    const event = { type: 'messageRevoked', providerMessageId: 'wamid.image', revokedAt: new Date(SENT_AT * 1000) };
    for (const [field, name] of [
      ['messages', 'messages'],
      ['smb_message_echoes', 'message_echoes'],
    ] as const)
      expect(parseJsonBody(chakra, meta(field, { [name]: [revoke] }))).toEqual({ events: [event], faults: [] });
    expect(parseJsonBody(cloud, meta('messages', { messages: [{ ...revoke, timestamp: 'now' }] })).events).toEqual([
      { ...event, revokedAt: null },
    ]);
  });

  it.each<[string, object, number]>([
    ['an edit of nothing', { type: 'edit' }, 0],
    ['an edit without content', { type: 'edit', edit: { original_message_id: 'M1' } }, 0],
    [
      'an edit of a place',
      { type: 'edit', edit: { original_message_id: 'M1', message: { type: 'location', location: {} } } },
      0,
    ],
    ['a revocation of nothing', { type: 'revoke', revoke: {} }, 0],
    ['a revocation of a list', { type: 'revoke', revoke: [] }, 0],
    ['a hostile original', { type: 'revoke', revoke: { original_message_id: '../x' } }, 1],
    [
      'a hostile original of an edit',
      { type: 'edit', edit: { original_message_id: 'a\nb', message: { type: 'text', text: { body: 'x' } } } },
      1,
    ],
  ])('without a valid target have no effect: %s', (_case, message, faults) => {
    const parsing = parseJsonBody(cloud, meta('messages', { messages: [{ id: 'M2', ...message }] }));
    expect([parsing.events, parsing.faults.length]).toEqual([[], faults]);
  });
});
