import { ExponentialBackoff, handleAll, retry } from 'cockatiel';
import pg from 'pg';
import type { Logger } from '../telemetry/logger.js';

export interface NotificationListenerOptions {
  /** `postgres://…` */
  readonly url: string;
  readonly channel: string;
  /** Called when the channel was notified, or may have been: the connection was lost or restored. */
  readonly onNotified: (payload: string | null) => void;
  readonly logger: Logger | null;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A server that disappears does not close its connections (RFC 9293), and a listener sends nothing by itself. */
const HEARTBEAT_MS = 10_000;
const HEARTBEAT_TIMEOUT_MS = 5_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** A separate connection that listens to one channel and reconnects after an interruption. */
export class NotificationListener {
  readonly #closing = new AbortController();
  #client: pg.Client | null = null;
  #reconnecting: Promise<void> = Promise.resolve();

  private constructor(private readonly options: NotificationListenerOptions) {}

  /**
   * Resolves when all later notifications will be received.
   * @throws Error if the server is unavailable
   */
  static async open(options: NotificationListenerOptions): Promise<NotificationListener> {
    const listener = new NotificationListener(options);
    await listener.#connect();
    return listener;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#reconnecting;
    await this.#client?.end();
  }

  async #connect(): Promise<void> {
    const { url, channel, onNotified } = this.options;
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: HEARTBEAT_TIMEOUT_MS,
      keepAlive: true,
      fallback_application_name: 'mediagraph',
    });
    // An `error` event without a listener ends the process. An `end` event follows it.
    client.on('error', () => {});
    client.on('notification', ({ payload = '' }) => onNotified(payload));
    try {
      await client.connect();
      await client.query(`listen ${pg.escapeIdentifier(channel)}`);
    } catch (thrown) {
      await client.end().catch(() => {});
      throw thrown;
    }
    this.#client = client;
    // After a timeout the query may still be running on the server, so the connection is destroyed.
    const heartbeat = setInterval(() => client.query('select 1').catch(() => client.end()), HEARTBEAT_MS);
    client.once('end', () => {
      clearInterval(heartbeat);
      this.#client = null;
      if (this.#closing.signal.aborted) return;
      this.#reconnecting = this.#reconnect();
      onNotified(null);
    });
  }

  async #reconnect(): Promise<void> {
    this.options.logger?.warn({}, 'the connection that hears of changes was lost');
    const backoff = new ExponentialBackoff({ initialDelay: FIRST_PAUSE_MS, maxDelay: LONGEST_PAUSE_MS });
    try {
      await retry(handleAll, { backoff, maxAttempts: Number.POSITIVE_INFINITY }).execute(
        () => this.#connect(),
        this.#closing.signal,
      );
    } catch {
      return; // Closing.
    }
    this.options.onNotified(null);
  }
}
