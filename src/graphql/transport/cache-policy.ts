import type { Media } from '../../model/media.js';

/** As the `@cacheControl` hints say, which are upper bounds. Half a minute, since a media may be deleted at any moment. */
const MAX_AGE_S = 30;

/**
 * How long one answer may be kept by whoever asked: `Cache-Control` (RFC 9111 section 5.2.2), which routers read. What is
 * about to change, or may turn up, is not to be kept at all; nothing is kept beyond its end, which also ends its links.
 */
export class CachePolicy {
  // null: nothing that may be kept was answered.
  #maxAgeS: number | null = null;

  /** @param now milliseconds, of the whole operation */
  constructor(private readonly now: number) {}

  allow(seconds: number = MAX_AGE_S): void {
    this.#maxAgeS = Math.max(0, Math.min(this.#maxAgeS ?? MAX_AGE_S, Math.floor(seconds)));
  }

  /** Of a message, where nobody knows of media that is not there yet; null: there is no such media, yet. */
  media(media: readonly Media[] | Media | Error | null): void {
    if (media === null || media instanceof Error) this.allow(0);
    else if (!('length' in media)) this.#one(media);
    else if (media.length === 0) this.allow(0);
    else for (const one of media) this.#one(one);
  }

  header(): string {
    return this.#maxAgeS === null || this.#maxAgeS === 0 ? 'no-store' : `private, max-age=${this.#maxAgeS}`;
  }

  #one({ status, expiresAt }: Media): void {
    if (status === 'PENDING') this.allow(0);
    else if (expiresAt && status === 'READY') this.allow((expiresAt.getTime() - this.now) / 1000);
    else this.allow();
  }
}
