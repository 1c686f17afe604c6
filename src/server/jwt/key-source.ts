import type { Logger } from '../../telemetry/logger.js';
import { KeySet } from './key-set.js';

export interface KeySourceOptions {
  /** Reads the document at `auth.jwt.jwksUrl`. Bounded in time and bytes. */
  readonly read: (signal: AbortSignal) => Promise<Buffer>;
  readonly logger: Logger;
  /** Milliseconds on a clock that is never set back. */
  readonly now?: () => number;
}

/** Keys of this age are fetched again while tokens arrive, so that a key which the issuer removes is soon refused. */
const REFRESH_AFTER_MS = 20_000;
/** After an idle time, the next token waits for the keys, because the issuer may have removed one long ago. */
const IDLE_MS = 60_000;
/** The minimum time between two fetches of the same cause: an unknown key, or the age of the keys. */
const COOLDOWN_MS = 10_000;
/** How long keys are used while the issuer is unavailable. */
const KEPT_MS = 60 * 60 * 1000;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;

/**
 * The key set of an issuer. It is fetched at the start, until that succeeds, and afterwards only when tokens need it. One
 * fetch runs at a time and serves all who wait. A failed fetch changes nothing.
 */
export class KeySource {
  #keys: KeySet | null = null;
  #body: Buffer | null = null;
  #fetchedAt = Number.NEGATIVE_INFINITY;
  #attemptedAt = Number.NEGATIVE_INFINITY;
  #lastUnknownAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | null = null;
  #retry: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();
  readonly #now: () => number;

  constructor(private readonly options: KeySourceOptions) {
    this.#now = options.now ?? (() => performance.now());
  }

  /** Whether the keys were fetched once. */
  get hasStarted(): boolean {
    return this.#keys !== null;
  }

  /** Fetches the keys, and repeats that until it succeeds once. Resolves after the first attempt. Never rejects. */
  async start(): Promise<void> {
    await this.#fetch();
    this.#retryUntilStarted(FIRST_RETRY_MS);
  }

  /** The keys, which are at most an hour old. Null: there are none. */
  async current(): Promise<KeySet | null> {
    const now = this.#now();
    if (this.#keys === null) await this.#fetching;
    else if (now - this.#fetchedAt >= REFRESH_AFTER_MS && now - this.#attemptedAt >= COOLDOWN_MS) {
      const isIdle = now - this.#attemptedAt >= IDLE_MS;
      const fetching = this.#fetch();
      if (isIdle) await fetching;
    }
    return this.#usable();
  }

  /** The keys after a token named one that is not among them, or that did not sign it. */
  async afterUnknownKey(): Promise<KeySet | null> {
    if (this.#fetching) await this.#fetching;
    else if (this.#now() - this.#lastUnknownAt >= COOLDOWN_MS) {
      this.#lastUnknownAt = this.#now();
      await this.#fetch();
    }
    return this.#usable();
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#closing.abort(new Error('the server stops'));
  }

  #usable(): KeySet | null {
    return this.#now() - this.#fetchedAt <= KEPT_MS ? this.#keys : null;
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = null;
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<void> {
    const { read, logger } = this.options;
    const startedAt = this.#now();
    this.#attemptedAt = startedAt;
    try {
      this.#replace(await read(this.#closing.signal));
      this.#fetchedAt = startedAt;
    } catch (err) {
      if (this.#closing.signal.aborted) return;
      const isKept = this.#usable() !== null;
      const message = isKept
        ? 'the key set of the issuer of tokens could not be fetched; the known keys stay in use'
        : 'the key set of the issuer of tokens could not be fetched; tokens are refused';
      logger[isKept ? 'warn' : 'error']({ err }, message);
    }
  }

  #replace(body: Buffer): void {
    if (this.#body?.equals(body)) return;
    const keys = new KeySet(body);
    const { size, ignored } = keys;
    this.options.logger.info({ keys: size, ignored }, 'the key set of the issuer of tokens was read');
    this.#keys = keys;
    this.#body = body;
  }

  #retryUntilStarted(delayMs: number): void {
    if (this.hasStarted || this.#closing.signal.aborted) return;
    this.#retry = setTimeout(() => {
      void this.#fetch().then(() => this.#retryUntilStarted(Math.min(delayMs * 2, MAX_RETRY_MS)));
    }, delayMs);
  }
}
