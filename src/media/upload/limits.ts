import { MediagraphError } from '../../model/errors.js';
import { essenceOf, generalTypeOf } from '../../model/text/mime-type.js';
import type { ConnectedChannel } from '../../providers/channel-directory.js';
import { contradicts } from '../sniffed-stream.js';

export interface SizeLimit {
  readonly bytes: number;
  readonly mimeType: string;
  /** The provider that has the limit; null for this server's limit. */
  readonly provider: string | null;
}

/** @throws MediagraphError CONTENT_TYPE_NOT_ALLOWED for a type that the provider does not accept */
export function limitOf({ adapter, provider }: ConnectedChannel, mimeType: string, maxBytes: number): SizeLimit {
  const { uploadLimits } = adapter;
  if (!uploadLimits) return { bytes: maxBytes, mimeType, provider: null };
  const bytes = uploadLimits.get(essenceOf(mimeType));
  if (bytes === undefined) {
    const types = [...uploadLimits.keys()].join(', ');
    throw notAllowed(`expected one of the types that ${provider} takes (${types}), got ${mimeType}`);
  }
  return bytes < maxBytes ? { bytes, mimeType, provider } : { bytes: maxBytes, mimeType, provider: null };
}

export function tooLarge({ bytes, mimeType, provider }: SizeLimit, cause?: unknown): MediagraphError {
  const limit = provider === null ? "this server's limit" : `${provider}'s limit for ${essenceOf(mimeType)}`;
  const message = `expected at most ${bytes} bytes (${limit}), got more`;
  return new MediagraphError('MEDIA_TOO_LARGE', message, {}, { cause });
}

export function isTooLarge(thrown: unknown): boolean {
  return thrown instanceof MediagraphError && thrown.code === 'MEDIA_TOO_LARGE';
}

/**
 * The type of an upload. The bytes determine it, and the types from the caller and the source must match.
 * @throws MediagraphError CONTENT_TYPE_NOT_ALLOWED
 */
export function agreedType(given: string | null, declared: string | null, found: string): string {
  if (contradicts(declared, found)) throw notAllowed(`expected ${declared}, as the source declares, got ${found}`);
  if (given === null || essenceOf(given) === essenceOf(found)) return found;
  if (essenceOf(given) === generalTypeOf(found)) return given;
  throw notAllowed(`expected ${given}, got ${found}`);
}

/** The general type as which a provider accepts files of an unlisted type; null if there is none. */
export function typeTaken({ adapter: { uploadLimits } }: ConnectedChannel, found: string): string | null {
  const general = generalTypeOf(found);
  if (!uploadLimits || general === null || uploadLimits.has(essenceOf(found))) return null;
  return uploadLimits.has(general) ? general : null;
}

function notAllowed(message: string): MediagraphError {
  return new MediagraphError('CONTENT_TYPE_NOT_ALLOWED', message);
}
