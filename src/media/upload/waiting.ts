import { setTimeout as sleep } from 'node:timers/promises';
import type { CataloguedMedia, MediaCatalogue } from '../../catalogue/media/media-catalogue.js';
import type { TenantId } from '../../model/channel.js';
import { MediagraphError } from '../../model/errors.js';
import type { MediaId } from '../../model/media.js';
import type { Logger } from '../../telemetry/logger.js';
import { failureOf } from '../backoff.js';

/** The result of an upload. */
export type UploadEnd = { readonly media: CataloguedMedia } | { readonly failure: MediagraphError };

export interface UploadWaitingOptions {
  readonly catalogue: Pick<MediaCatalogue, 'findByIds'>;
  /** `upload.respondWithin`, milliseconds */
  readonly respondWithinMs: number;
  readonly logger: Logger;
}

/** The interval of reading the uploads of other processes. */
const POLL_MS = 250;
/** The maximum number of uploads that one statement reads. */
const MAX_LOOKED_AT = 500;

/** Lets callers wait for the result of their uploads, whichever process performs them. */
export class UploadWaiting {
  readonly #waiting = new Map<string, Set<(outcome: UploadEnd) => void>>();
  readonly #waitedFor = new Map<string, CataloguedMedia>();
  /** Uploads that this process performs. It reports their results directly, with more detail than the row. */
  readonly #carriedOut = new Set<string>();
  #polling: Promise<void> | null = null;
  #stopped = false;

  constructor(private readonly options: UploadWaitingOptions) {}

  /** Ends the waiting of all callers. */
  stop(): void {
    this.#stopped = true;
  }

  /** @returns a function to call when this process no longer performs the upload */
  carryOut(media: CataloguedMedia): () => void {
    const name = nameOf(media);
    this.#carriedOut.add(name);
    return () => void this.#carriedOut.delete(name);
  }

  /** Resolves with the media when the upload ends, or with its current state after `respondWithin`. */
  async end(media: CataloguedMedia, signal: AbortSignal | undefined): Promise<CataloguedMedia> {
    const name = nameOf(media);
    const over = new AbortController();
    let listener: (outcome: UploadEnd) => void = () => {};
    const ended = new Promise<UploadEnd>((resolve) => {
      listener = resolve;
    });
    const listeners = this.#waiting.get(name) ?? new Set();
    this.#waiting.set(name, listeners.add(listener));
    this.#waitedFor.set(name, media);
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = null;
    });
    const onAbort = () => over.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      const late = sleep(this.options.respondWithinMs, { media }, { signal: over.signal });
      late.catch(() => {});
      const outcome = await Promise.race([ended, late]);
      if ('failure' in outcome) throw outcome.failure;
      return outcome.media;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      over.abort();
      listeners.delete(listener);
      if (listeners.size === 0 && this.#waiting.get(name) === listeners) this.#forgetWaiting(name);
    }
  }

  #forgetWaiting(name: string): void {
    this.#waiting.delete(name);
    this.#waitedFor.delete(name);
  }

  /** Reports the result of an upload to all callers that wait for it. */
  tell(media: CataloguedMedia, outcome: UploadEnd): void {
    const name = nameOf(media);
    const listeners = this.#waiting.get(name) ?? [];
    this.#forgetWaiting(name);
    for (const listener of listeners) listener(outcome);
  }

  /** Reads the uploads that callers wait for, because another process may perform them. */
  async #poll(): Promise<void> {
    while (this.#waitedFor.size > 0 && !this.#stopped) {
      await sleep(POLL_MS, undefined, { ref: false });
      const byTenant = new Map<TenantId, MediaId[]>();
      for (const { tenant, id } of [...this.#waitedFor.values()].slice(0, MAX_LOOKED_AT))
        byTenant.set(tenant, [...(byTenant.get(tenant) ?? []), id]);
      for (const [tenant, ids] of byTenant) await this.#lookAt(tenant, ids);
    }
  }

  async #lookAt(tenant: TenantId, ids: readonly MediaId[]): Promise<void> {
    try {
      const found = await this.options.catalogue.findByIds(tenant, ids);
      for (const media of found.values()) {
        const isOthers = media.status !== 'PENDING' && !this.#carriedOut.has(nameOf(media));
        if (isOthers) this.tell(media, endOf(media));
      }
    } catch (err) {
      this.options.logger.warn({ err }, 'waiting uploads could not be read');
    }
  }
}

/** The result of an upload from its row. */
export function endOf(media: CataloguedMedia): UploadEnd {
  if (media.status !== 'FAILED') return { media };
  const { code, message, retryable } = media.failure ?? failureOf(null, media.updatedAt);
  const { provider, channelId } = media;
  return { failure: new MediagraphError(code, message, { retryable, provider, channelId }) };
}

function nameOf({ tenant, id }: CataloguedMedia): string {
  return `${tenant}\n${id}`;
}
