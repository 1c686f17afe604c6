import { setTimeout as sleep } from 'node:timers/promises';
import type { CataloguedMedia, MediaCatalogue } from '../../catalogue/media/media-catalogue.js';
import type { TenantId } from '../../model/channel.js';
import { MediagraphError } from '../../model/errors.js';
import type { MediaId } from '../../model/media.js';
import type { Logger } from '../../telemetry/logger.js';
import { failureOf } from '../backoff.js';

/** How an upload ended. */
export type UploadEnd = { readonly media: CataloguedMedia } | { readonly failure: MediagraphError };

export interface UploadWaitingOptions {
  readonly catalogue: Pick<MediaCatalogue, 'findByIds'>;
  /** `upload.respondWithin`, milliseconds */
  readonly respondWithinMs: number;
  readonly logger: Logger;
}

/** How often uploads of other processes are looked at. */
const POLL_MS = 250;
/** How many uploads one look reads. */
const MAX_LOOKED_AT = 500;

/** Callers that wait for the end of their uploads, whichever process carries them out. */
export class UploadWaiting {
  readonly #waiting = new Map<string, Set<(outcome: UploadEnd) => void>>();
  readonly #waitedFor = new Map<string, CataloguedMedia>();
  /** Uploads that this process carries out: it tells their end itself, and knows more of it than the row. */
  readonly #carriedOut = new Set<string>();
  #polling: Promise<void> | null = null;
  #stopped = false;

  constructor(private readonly options: UploadWaitingOptions) {}

  /** Callers wait no more. */
  stop(): void {
    this.#stopped = true;
  }

  /** @returns to be called when this process no longer carries the upload out */
  carryOut(media: CataloguedMedia): () => void {
    const name = nameOf(media);
    this.#carriedOut.add(name);
    return () => void this.#carriedOut.delete(name);
  }

  /** Resolves with the media when the upload ends, or with what is known when `respondWithin` is over. */
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

  /** Tells all callers that wait for this upload how it ended. */
  tell(media: CataloguedMedia, outcome: UploadEnd): void {
    const name = nameOf(media);
    const listeners = this.#waiting.get(name) ?? [];
    this.#forgetWaiting(name);
    for (const listener of listeners) listener(outcome);
  }

  /** Looks at the uploads that callers wait for: another process may carry them out. */
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
      this.options.logger.warn({ err }, 'uploads that are waited for cannot be looked at');
    }
  }
}

/** The end of an upload as its row has it. */
export function endOf(media: CataloguedMedia): UploadEnd {
  if (media.status !== 'FAILED') return { media };
  const { code, message, retryable } = media.failure ?? failureOf(null, media.updatedAt);
  const { provider, channelId } = media;
  return { failure: new MediagraphError(code, message, { retryable, provider, channelId }) };
}

function nameOf({ tenant, id }: CataloguedMedia): string {
  return `${tenant}\n${id}`;
}
