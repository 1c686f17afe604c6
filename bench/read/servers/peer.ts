/** What the two peers share with ours: the words on the wire and the link, so that only the stacks differ. */
import { nameInUrl } from '../../../src/links/media-name.js';
import { UrlSigner } from '../../../src/links/signed-url.js';
import { encodeMediaId, parseMessageId } from '../../../src/model/ids.js';
import type { Media } from '../../../src/model/media.js';
import { lamlListedMedia } from '../../../src/providers/laml/mapping.js';
import type { LamlMedia } from '../../../src/providers/laml/wire.js';
import { type Provider, providerSchema } from '../provider.js';
import { CHANNEL_ID, DELIVERY_BASE_URL, SIGNING_KEY, URL_TTL_DAYS } from './settings.js';

export interface MediaList {
  readonly media_list: readonly LamlMedia[];
}

export const urls = new UrlSigner({
  keys: [SIGNING_KEY],
  baseUrl: () => DELIVERY_BASE_URL,
  ttlMs: URL_TTL_DAYS * 86_400_000,
});

/** Where the emulator is: `argv[2]`, from the process that started this one. */
export function readProvider(): Provider {
  return providerSchema.parse(JSON.parse(process.argv[2] ?? ''));
}

export function originOf(provider: Provider): string {
  return new URL(provider.baseUrl).origin;
}

export function headersOf({ username, password }: Provider): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}

export function providerMessageIdOf(messageId: string): string {
  return parseMessageId(messageId).providerMessageId;
}

/** Makes the path of a message's media list. */
export function mediaListPath({ baseUrl, accountSid }: Provider): (providerMessageId: string) => string {
  const messages = `${new URL(baseUrl).pathname}/Accounts/${accountSid}/Messages`;
  return (providerMessageId) => `${messages}/${encodeURIComponent(providerMessageId)}/Media.json`;
}

export function toMedia(providerMessageId: string, wire: LamlMedia): Media {
  const { sid: providerMediaId } = wire;
  return {
    id: encodeMediaId({ channelId: CHANNEL_ID, providerMessageId, providerMediaId }),
    tenant: 'default',
    channelId: CHANNEL_ID,
    provider: 'signalwire',
    expiresAt: null,
    measures: null,
    voice: null,
    contact: null,
    direction: null,
    // Last: V8 (Node 20) adds each property that follows a spread by a slow path of 2 µs.
    ...lamlListedMedia(providerMessageId, wire),
  };
}

export function signedUrlOf(media: Media, now: number): string {
  const expiresAt = urls.expiry(now);
  return urls.sign({ mediaId: media.id, filename: nameInUrl(media), disposition: 'inline', expiresAt });
}
