import type { Media } from '../../model/media.js';

/** The maximum age in the `@cacheControl` hints. It is short because a media may be deleted at any moment. */
const MAX_AGE_S = 30;

/**
 * The `Cache-Control` of one answer (RFC 9111 section 5.2.2), which routers read. Media that is about to change, or may
 * still appear, must not be cached. No media is cached beyond its expiry, which ends its links as well.
 */
export class CachePolicy {
  // null: the answer holds nothing that may be cached.
  #maxAgeS: number | null = null;

  /** @param now the clock reading of the operation, in milliseconds */
  constructor(private readonly now: number) {}

  allow(seconds: number = MAX_AGE_S): void {
    this.#maxAgeS = Math.max(0, Math.min(this.#maxAgeS ?? MAX_AGE_S, Math.floor(seconds)));
  }

  /** Takes loaded media into account: a list of a message, or one media. null: there is no such media yet. */
  media(media: readonly Media[] | Media | Error | null): void {
    if (media === null || media instanceof Error) this.allow(0);
    else if (!('length' in media)) this.#allowMedia(media);
    else if (media.length === 0) this.allow(0);
    else for (const listed of media) this.#allowMedia(listed);
  }

  header(): string {
    return this.#maxAgeS === null || this.#maxAgeS === 0 ? 'no-store' : `private, max-age=${this.#maxAgeS}`;
  }

  #allowMedia({ status, expiresAt }: Media): void {
    if (status === 'PENDING') this.allow(0);
    else if (expiresAt && status === 'READY') this.allow((expiresAt.getTime() - this.now) / 1000);
    else this.allow();
  }
}
