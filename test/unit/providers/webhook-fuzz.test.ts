/**
 * Random bodies from the providers' vocabularies. The test takes two seconds, or a minute with `TEST_LONG=1`.
 * `TEST_SEED` repeats the bodies of a run; the seed is in the test's name, and a failure prints the body.
 */
import { randomBytes } from 'node:crypto';
import { MediagraphError } from '../../../src/model/errors.js';
import { encodeMediaId } from '../../../src/model/ids.js';
import { createGupshupWebhook } from '../../../src/providers/gupshup/webhook.js';
import { createKirimWebhook } from '../../../src/providers/kirim/webhook.js';
import { createLamlWebhook } from '../../../src/providers/laml/webhook.js';
import type { WebhookItem, WebhookReceiver } from '../../../src/providers/provider-adapter.js';
import { createWaGatewayWebhook } from '../../../src/providers/wa-gateway/webhook.js';
import { JsonList, JsonObject, type JsonPart, openJson } from '../../../src/providers/webhooks/json-walk.js';
import { createChakraWebhook, createWhatsappWebhook } from '../../../src/providers/whatsapp/webhook.js';
import { Chance } from '../../support/chance.js';
import { FORM_TYPE, JSON_TYPE, NOW } from '../webhook-requests.js';

const SEED = process.env.TEST_SEED ?? randomBytes(4).toString('hex');
const SECONDS = process.env.TEST_LONG === '1' ? 60 : 2;
import.meta.jest.setTimeout(600_000);

const secret = 's';
const signatureHeader = 'x-signature';
const laml = { secret, accountSid: 'AC1', baseUrl: 'https://api.example.com/2010-04-01' };
const RECEIVERS: ReadonlyArray<[string, WebhookReceiver]> = [
  ['cloud', createWhatsappWebhook({ channel: { id: 'line', provider: 'whatsapp-cloud' }, secret })],
  ['chakra', createChakraWebhook({ channel: { id: 'line', provider: 'chakra' }, secret })],
  ['kirim', createKirimWebhook({ channel: { id: 'line', provider: 'kirim' }, secret, signatureHeader })],
  ['gateway', createWaGatewayWebhook({ channel: { id: 'line', provider: 'wa-gateway' }, secret, signatureHeader })],
  ['gupshup', createGupshupWebhook({ channel: { id: 'line', provider: 'gupshup' }, headerName: 'x', secret })],
  ['signalwire', createLamlWebhook({ channel: { id: 'line', provider: 'signalwire' }, ...laml })],
  ['twilio', createLamlWebhook({ channel: { id: 'line', provider: 'twilio' }, ...laml })],
];

const NAMES = [
  ...['object', 'entry', 'changes', 'field', 'value', 'metadata', 'messages', 'message_echoes', 'history', 'threads'],
  ...['id', 'from', 'to', 'timestamp', 'type', 'errors', 'unsupported', 'edit', 'revoke', 'original_message_id'],
  ...[
    'message',
    'image',
    'video',
    'audio',
    'document',
    'sticker',
    'caption',
    'text',
    'body',
    'mime_type',
    'sha256',
    'voice',
  ],
  ...[
    'kirim',
    'media_url',
    'media_status',
    'event',
    'data',
    'payload',
    'media_path',
    'message_id',
    'app_id',
    'device_id',
  ],
  ...['gs_app_id', 'messageobj', 'url', 'mediaId', 'source', 'sender', 'phone', 'media', 'project_id', 'code', 'title'],
  ...[
    'display_phone_number',
    'phone_number_id',
    'contacts',
    'wa_id',
    'direction',
    'filename',
    'size',
    '__proto__',
    'constructor',
  ],
];
const TEXTS = [
  ...['whatsapp_business_account', 'messages', 'smb_message_echoes', 'history', 'image', 'audio', 'edit', 'revoke'],
  ...[
    'unsupported',
    'media_placeholder',
    'message',
    'message.received',
    'device_destroyed',
    'ready',
    'pending',
    'inbound',
  ],
  ...[
    'wamid.1',
    '1650555',
    '+1650555',
    '1@s.whatsapp.net',
    '1763726400',
    'media/app/dev-3EB0.bin',
    'app',
    'dev',
    'AC1',
  ],
  ...[
    'https://a.example/x.jpg',
    'https://a:b@c/',
    'image/jpeg',
    '',
    '..',
    '\0',
    'a\u0000b',
    '\ud800',
    '\udc00x',
    'é🙂',
    'x'.repeat(5_000),
  ],
  ...['%2e%2e', '1e999', 'true', '{"type":"image","id":"1","url":"https://a.example/"}', '[', '"', '\\u'],
];

class BodyGenerator {
  constructor(private readonly chance: Chance) {}

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[this.chance.below(items.length)];
    if (item === undefined) throw new Error('expected something to pick from');
    return item;
  }

  json(depth: number): string {
    const kind = this.chance.below(depth > 0 ? 10 : 5);
    if (kind < 2) return JSON.stringify(this.#pick(TEXTS));
    if (kind === 2) return this.#pick(['0', '-1', '131052', '1e400', '1763726400', '0.5', '9007199254740993']);
    if (kind < 5) return this.#pick(['null', 'true', 'false', '[]', '{}']);
    const count = this.chance.below(6);
    if (kind < 7) return `[${Array.from({ length: count }, () => this.json(depth - 1)).join()}]`;
    const members = Array.from({ length: count }, () => `${JSON.stringify(this.#pick(NAMES))}:${this.json(depth - 1)}`);
    return `{${members.join()}}`;
  }

  /** A body that a provider might send, with random values in some places. */
  body(): string {
    const any = () => this.json(4);
    const message = () =>
      `{"id":${this.#pick(['"wamid.1"', any()])},"type":${this.#pick(['"image"', '"audio"', '"edit"', '"revoke"', '"unsupported"', any()])},"timestamp":${any()},"from":${any()},"image":${this.#pick(['{"id":"1"}', any()])},"audio":${any()},"edit":${any()},"revoke":{"original_message_id":${any()}},"errors":${any()}}`;
    const value = () =>
      `{"metadata":${any()},"contacts":${any()},"messages":[${message()},${any()}],"message_echoes":${any()},"history":[{"threads":[{"id":${any()},"messages":[${message()}]}]}]}`;
    const shapes = [
      any,
      () =>
        `{"object":"whatsapp_business_account","kirim":${any()},"gs_app_id":${any()},"entry":[{"changes":[{"field":${this.#pick(['"messages"', '"history"', any()])},"value":${value()}}]},${any()}]}`,
      () =>
        `{"event":${this.#pick(['"message"', '"message.received"', '"device_destroyed"', any()])},"app_id":"app","device_id":${this.#pick(['"dev"', any()])},"payload":${any()},"data":{"message":${message()}}}`,
      () => `{"payload":{"media_path":${any()},"message_id":${any()}}}`,
      () => `{"type":"message","timestamp":${any()},"payload":{"id":${any()},"type":"image","payload":${any()}}}`,
      () => `{"messageobj":${any()}}`,
      () => `{"message":{"message_id":"a","project_id":"AC1","media":[{"url":${any()}}],"from":${any()}}}`,
    ];
    const text = this.#pick(shapes)();
    // Sometimes inserts bytes that are invalid anywhere.
    if (this.chance.below(4) > 0) return text;
    const at = this.chance.below(text.length + 1);
    return (
      text.slice(0, at) +
      this.#pick(['', '\0', '"', '\\', '}', ']', ',', '{"', '\ufeff']) +
      text.slice(at + this.chance.below(3))
    );
  }

  form(): string {
    const field = () =>
      `${this.#pick(['AccountSid', 'MessageSid', 'NumMedia', 'MediaUrl0', 'From', 'Body', 'messageobj', '%ff', ''])}=${encodeURIComponent(this.#pick(TEXTS).toWellFormed())}`;
    const own = this.chance.below(2) === 0 ? ['AccountSid=AC1', 'MessageSid=MM1', 'NumMedia=1'] : [];
    return [...own, ...Array.from({ length: this.chance.below(6) }, field)].join('&');
  }
}

/** Returns why an event cannot be stored, or null. */
function storageFault(item: WebhookItem): string | null {
  const texts: Array<string | null | undefined> = [];
  if (item === null) return null;
  if (item.type === 'fault') texts.push(item.message);
  if (item.type === 'deviceDestroyed') texts.push(item.providerMediaIdPrefix);
  if (item.type === 'captionEdited') texts.push(item.providerMessageId, item.caption);
  if (item.type === 'messageRevoked') texts.push(item.providerMessageId);
  if (item.type === 'mediaAnnounced') {
    for (const media of item.media) {
      const { providerMessageId, providerMediaId } = media;
      encodeMediaId({ channelId: 'line', providerMessageId, providerMediaId: providerMediaId?.slice(0, 70) ?? null });
      texts.push(providerMessageId, providerMediaId, media.downloadUrl, media.mimeType, media.filename, media.caption);
      texts.push(media.contact, media.sha256, media.fault?.message);
      if ((media.status === 'FAILED') !== (media.fault !== undefined))
        return 'FAILED without a fault, or the other way round';
      for (const date of [media.createdAt, media.availableUntil])
        if (date && Number.isNaN(date.getTime())) return 'no date';
      if (media.sizeBytes !== null && !(Number.isSafeInteger(media.sizeBytes) && media.sizeBytes > 0)) return 'no size';
    }
  }
  const bad = texts.find(
    (text) => typeof text === 'string' && (text.includes('\0') || !text.isWellFormed() || text.length > 4_096),
  );
  return bad === undefined || bad === null
    ? null
    : `a text that cannot be stored: ${JSON.stringify(bad.slice(0, 100))}`;
}

function check([name, receiver]: (typeof RECEIVERS)[number], body: string, type: string): string | null {
  try {
    for (const item of receiver.parse(Buffer.from(body), type, NOW)) {
      const reason = storageFault(item);
      if (reason !== null) return `${name}: ${reason}`;
    }
    return null;
  } catch (thrown) {
    const isOurs = thrown instanceof MediagraphError && thrown.code === 'PROVIDER_PROTOCOL';
    return isOurs ? null : `${name}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`;
  }
}

/** Converts a value of the webhook reader to Maps, for the comparison with `JSON.parse`. */
function readWithWalk(part: JsonPart, like: unknown): unknown {
  if (part instanceof JsonList)
    return [...part].map((element, at) => readWithWalk(element, Array.isArray(like) ? like[at] : undefined));
  if (!(part instanceof JsonObject)) return part;
  const names = typeof like === 'object' && like !== null ? Object.keys(like) : [];
  return new Map(
    [...part.pick(names)].map(([name, value]) => [
      name,
      readWithWalk(value, Object.entries(like ?? {}).find(([key]) => key === name)?.[1]),
    ]),
  );
}

function readWithJsonParse(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readWithJsonParse);
  return typeof value === 'object' && value !== null
    ? new Map(Object.entries(value).map(([name, item]) => [name, readWithJsonParse(item)]))
    : value;
}

describe('bodies at random', () => {
  it(`are parsed or refused, and every event can be stored: TEST_SEED=${SEED}`, () => {
    const generator = new BodyGenerator(new Chance(SEED));
    const end = Date.now() + SECONDS * 1000;
    let bodies = 0;
    while (Date.now() < end || bodies < 50) {
      bodies += 1;
      const json = generator.body();
      const form = generator.form();
      for (const receiver of RECEIVERS) {
        expect([check(receiver, json, JSON_TYPE), json]).toEqual([null, json]);
        expect([check(receiver, form, FORM_TYPE), form]).toEqual([null, form]);
      }
    }
  });

  it(`are parsed as JSON.parse does: TEST_SEED=${SEED}`, () => {
    const generator = new BodyGenerator(new Chance(`${SEED} json`));
    const end = Date.now() + SECONDS * 1000;
    let bodies = 0;
    while (Date.now() < end || bodies < 50) {
      bodies += 1;
      const text = generator.body().toWellFormed();
      let like: unknown;
      let isJson = true;
      try {
        like = JSON.parse(text);
      } catch {
        isJson = false;
      }
      const opened = openJson(Buffer.from(text));
      expect([opened !== null, text]).toEqual([isJson, text]);
      if (opened) expect([readWithWalk(opened.value, like), text]).toEqual([readWithJsonParse(like), text]);
    }
  });

  it.each([
    ...[
      '01',
      '-',
      '1.',
      '.5',
      '1e',
      '+1',
      '0x1',
      'NaN',
      'tru',
      'truee',
      'null1',
      '"\n"',
      '"\\x"',
      '"\\u12g4"',
      '"',
      '[1,]',
      '[,1]',
      '{"a"}',
      '{a:1}',
      '{"a":1,}',
      '[1 2]',
      '',
      ' ',
      '1 1',
      '[}',
      '{]',
      "'a'",
      '// x',
    ],
    `${'['.repeat(100)}${']'.repeat(99)}`,
  ])('are not JSON: %j', (text) => expect(openJson(Buffer.from(text))).toBeNull());

  it('may be cut where a text is longer than anything that is read', () => {
    for (const unit of ['x', 'é', '🙂', '\\u00e9', '\\\\', '\\ud83d\\ude42']) {
      const opened = openJson(Buffer.from(`"${unit.repeat(100_000)}"`));
      const whole: unknown = JSON.parse(`"${unit.repeat(100_000)}"`);
      expect(
        typeof opened?.value === 'string' && opened.value.length >= 65_535 && String(whole).startsWith(opened.value),
      ).toBe(true);
    }
  });
});
