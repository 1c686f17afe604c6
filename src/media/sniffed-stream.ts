import { bytesToSniff, isVerdictFinal } from '../inspection/sniff/sniff.js';
import { inspectionThreads } from '../inspection/threads/inspection-threads.js';
import { MediagraphError } from '../model/errors.js';
import type { MediaRef } from '../model/media.js';
import { essenceOf } from '../model/text/mime-type.js';
import type { ConnectedChannel } from '../providers/channel-directory.js';
import type { ByteStream, CallOptions } from '../providers/provider-adapter.js';
import { ProviderFaults } from '../providers/toolkit/provider-call.js';
import { peek } from '../streams/peek.js';

/**
 * All bytes from a provider. The first bytes were inspected and are still in `body`. The caller drains or destroys
 * `body`. Pass its failures through {@link ofProvider}.
 */
export interface SniffedStream extends Omit<ByteStream, 'declaredMimeType' | 'range'> {
  /** The type that the bytes show. */
  readonly mimeType: string;
}

/**
 * Resolves as soon as the received bytes determine the type.
 * @throws MediagraphError MEDIA_NOT_FOUND, and the errors of the adapter's `openMedia`
 */
export async function openSniffed(
  channel: ConnectedChannel,
  ref: MediaRef & { readonly mimeType?: string | null },
  options: CallOptions,
): Promise<SniffedStream> {
  if (!channel.adapter.openMedia) throw new MediagraphError('MEDIA_NOT_FOUND', 'this media does not exist');
  const stream = await channel.adapter.openMedia(ref, options);
  const { head, body } = await ofProvider(
    channel,
    peek(stream.body, (head) => bytesToSniff(head), isVerdictFinal),
  );
  if (head.length === 0) {
    body.destroy();
    const { provider, id: channelId } = channel;
    const details = { provider, channelId, retryable: true };
    throw new MediagraphError(
      'PROVIDER_PROTOCOL',
      'expected the bytes of a media from the provider, got none',
      details,
    );
  }
  const declared = stream.declaredMimeType ?? ref.mimeType ?? null;
  const mimeType = await inspectionThreads.sniff(head, declared);
  if (contradicts(declared, mimeType)) {
    body.destroy();
    const { provider, id: channelId } = channel;
    throw new MediagraphError('PROVIDER_PROTOCOL', `expected ${declared} from the provider, got text`, {
      provider,
      channelId,
    });
  }
  const { sizeBytes, filename, lastModified } = stream;
  return { body, mimeType, sizeBytes, filename, lastModified };
}

/** Translates failures of the provider's stream into errors for callers. Other failures pass unchanged. */
export function ofProvider<Result>(channel: ConnectedChannel, reading: Promise<Result>): Promise<Result> {
  return reading.catch((thrown: unknown) => {
    throw new ProviderFaults(channel, () => ({})).ofDownload(thrown, 'the bytes of a media');
  });
}

/** Whether the bytes are a login or error page instead of the declared type. */
export function contradicts(declared: string | null, mimeType: string): boolean {
  if (declared === null) return false;
  const [claim, found] = [essenceOf(declared), essenceOf(mimeType)];
  if (isVisualOrSound(claim) && !TEXTUAL_MEDIA.has(claim)) return isTextual(found);
  return found === 'text/html' && !claim.startsWith('text/') && !PAGES.has(claim);
}

function isVisualOrSound(essence: string): boolean {
  return essence.startsWith('image/') || essence.startsWith('audio/') || essence.startsWith('video/');
}

/**
 * Whether the type is text in any encoding. XHTML, and pages that start with an unknown tag, are detected only as text.
 */
function isTextual(essence: string): boolean {
  return essence.startsWith('text/') || essence === 'application/xml' || essence === 'application/json';
}

const PAGES: ReadonlySet<string> = new Set(['application/xhtml+xml', 'application/xml']);
/** Types of drawings and playlists that are text. */
const TEXTUAL_MEDIA: ReadonlySet<string> = new Set([
  'image/svg+xml',
  'image/vnd.dxf',
  'image/x-xbitmap',
  'image/x-xpixmap',
  'image/x-portable-anymap',
  'image/x-portable-bitmap',
  'image/x-portable-graymap',
  'image/x-portable-pixmap',
  'audio/mpegurl',
  'audio/x-mpegurl',
  'audio/x-scpls',
]);
