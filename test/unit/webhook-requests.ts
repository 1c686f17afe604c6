import type { IncomingHttpHeaders } from 'node:http';
import { MediagraphError } from '../../src/model/errors.js';
import type { ProviderMedia } from '../../src/model/media.js';
import type {
  WebhookEvent,
  WebhookFault,
  WebhookItem,
  WebhookReceiver,
  WebhookRequest,
} from '../../src/providers/provider-adapter.js';

export const NOW = new Date('2026-11-21T12:00:00.000Z');
export const UNIX_NOW = NOW.getTime() / 1000;
export const WEEK_MS = 7 * 24 * 60 * 60 * 1000;
export const JSON_TYPE = 'application/json';
export const FORM_TYPE = 'application/x-www-form-urlencoded';

export function requestOf(
  rawBody: Buffer | string,
  headers: IncomingHttpHeaders,
  url = 'https://media.example.com/webhooks/line',
): WebhookRequest {
  return { url: new URL(url), address: url, headers, rawBody: Buffer.from(rawBody) };
}

/** Returns the MediagraphError that `run` throws; anything else fails the test. */
export function thrownBy(run: () => unknown): MediagraphError {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof MediagraphError) return thrown;
    throw thrown;
  }
  throw new Error('expected an error, got none');
}

/** Expects a rejection whose message contains none of the secrets. */
export function expectRejected(receiver: WebhookReceiver, request: WebhookRequest, secrets: readonly string[]): void {
  const error = thrownBy(() => receiver.verify(request, NOW));
  expect(error.code).toBe('WEBHOOK_REJECTED');
  expect(error.details.channelId).toBe('line');
  expectNotQuoted(error, secrets);
}

export function expectNotQuoted(
  error: { readonly message: string; readonly cause?: unknown },
  secrets: readonly string[],
): void {
  expect(error.cause).toBeUndefined();
  for (const text of secrets) expect(error.message).not.toContain(text);
}

/** All events and faults of a body. */
export interface WebhookParsing {
  readonly events: readonly WebhookEvent[];
  readonly faults: readonly WebhookFault[];
}

/** Collects all items of a parsed body. */
export function collectItems(items: Iterable<WebhookItem>): WebhookParsing {
  const events: WebhookEvent[] = [];
  const faults: WebhookFault[] = [];
  for (const item of items) {
    if (item?.type === 'fault') faults.push(item);
    else if (item !== null) events.push(item);
  }
  return { events, faults };
}

export function parseJsonBody(receiver: WebhookReceiver, body: unknown): WebhookParsing {
  return collectItems(receiver.parse(Buffer.from(JSON.stringify(body)), JSON_TYPE, NOW));
}

/** The media of all announcements. */
export function mediaIn({ events }: Pick<WebhookParsing, 'events'>): ProviderMedia[] {
  return events.flatMap((event) => (event.type === 'mediaAnnounced' ? event.media : []));
}

export function faultCodes({ faults }: WebhookParsing): string[] {
  return faults.map(({ code }) => code);
}

/** Bodies that no provider documents. The parser must throw PROVIDER_PROTOCOL without quoting them. */
export const BROKEN_JSON: ReadonlyArray<[string, Buffer, string]> = [
  ['an empty body', Buffer.alloc(0), JSON_TYPE],
  ['half a body', Buffer.from('{"object":"whatsapp_business_account","entry":[{"chan'), JSON_TYPE],
  ['a byte order mark', Buffer.from('\ufeff{"object":"x","entry":[],"event":"x","type":"x"}'), JSON_TYPE],
  ['UTF-16', Buffer.from('{"object":"x","entry":[],"event":"x"}', 'utf16le'), `${JSON_TYPE}; charset=utf-16`],
  [
    'bytes that are not UTF-8',
    Buffer.from('{"object":"x","entry":[],"event":"x","type":"x","note":"\xff"}', 'latin1'),
    JSON_TYPE,
  ],
  ['a list', Buffer.from('[]'), JSON_TYPE],
  ['a text', Buffer.from('"secret-words"'), JSON_TYPE],
  ['null', Buffer.from('null'), JSON_TYPE],
  ['an empty object', Buffer.from('{}'), JSON_TYPE],
  ['a million brackets', Buffer.from('['.repeat(500_000) + ']'.repeat(500_000)), JSON_TYPE],
  ['deep objects', Buffer.from(`${'{"entry":'.repeat(100_000)}1${'}'.repeat(100_000)}`), JSON_TYPE],
  ['a page', Buffer.from('<html>secret-words</html>'), 'text/html'],
  ['JSON that says it is text', Buffer.from('{"object":"x","entry":[],"event":"x"}'), 'text/plain'],
  ['JSON without a type', Buffer.from('{"object":"x","entry":[],"event":"x"}'), ''],
];
