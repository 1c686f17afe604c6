import { ExponentialBackoff, handleAll, retry } from 'cockatiel';
import pg from 'pg';
import type { Logger } from '../telemetry/logger.js';

export interface NotificationListenerOptions {
  /** `postgres://…` */
  readonly url: string;
  readonly logger: Logger | null;
}

/**
 * Called with the payload of a notification. The payload is null when notifications may have been missed: the connection was
 * lost, or is there again.
 */
export type OnNotification = (payload: string | null) => void;

const CONNECT_TIMEOUT_MS = 5_000;
/** A server that disappears does not close its connections (RFC 9293), and a listener sends nothing by itself. */
const HEARTBEAT_MS = 10_000;
const HEARTBEAT_TIMEOUT_MS = 5_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/**
 * One connection that listens to all channels of a process. It is opened for the first channel, stays open until
 * {@link close}, and reconnects after an interruption.
 */
export class NotificationListener {
  readonly #channels = new Map<string, Set<OnNotification>>();
  readonly #closing = new AbortController();
  /** The connection that is open, or is being opened. */
  #connection: Promise<pg.Client> | null = null;
  #wasLost = false;
  #reconnecting: Promise<void> = Promise.resolve();
  #querying: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: NotificationListenerOptions) {}

  /**
   * Resolves when all later notifications of the channel will be received, or their loss reported by a call with null.
   * @throws Error if the server is unavailable; the channel is then not listened to
   */
  async listen(channel: string, onNotification: OnNotification): Promise<void> {
    if (this.#closing.signal.aborted) throw new Error('the database is closed');
    const listeners = this.#channels.get(channel) ?? new Set();
    this.#channels.set(channel, listeners.add(onNotification));
    try {
      const client = await this.#connect();
      // The connection may have been opened before the channel was added. Listening twice is harmless.
      await this.#query(client, listenTo(channel));
    } catch (thrown) {
      listeners.delete(onNotification);
      if (listeners.size === 0) this.#channels.delete(channel);
      throw thrown;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#reconnecting;
    const client = await this.#connection?.catch(() => null);
    await client?.end();
  }

  #connect(): Promise<pg.Client> {
    this.#connection ??= this.#open().catch((thrown: unknown) => {
      this.#connection = null;
      throw thrown;
    });
    return this.#connection;
  }

  async #open(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.options.url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: HEARTBEAT_TIMEOUT_MS,
      keepAlive: true,
      fallback_application_name: 'mediagraph notifications',
    });
    // An `error` event without a listener ends the process. An `end` event follows it.
    client.on('error', () => {});
    client.on('notification', ({ channel, payload = '' }) => {
      for (const onNotification of this.#channels.get(channel) ?? []) onNotification(payload);
    });
    try {
      await client.connect();
      await client.query([...this.#channels.keys()].map(listenTo).join('; '));
    } catch (thrown) {
      await client.end().catch(() => {});
      throw thrown;
    }
    // After a timeout the query may still be running on the server, so the connection is destroyed.
    const heartbeat = setInterval(() => this.#query(client, 'select 1').catch(() => client.end()), HEARTBEAT_MS);
    client.once('end', () => {
      clearInterval(heartbeat);
      this.#onLost();
    });
    if (this.#wasLost) this.#reportMissed();
    this.#wasLost = false;
    return client;
  }

  /** A client takes one query at a time. */
  #query(client: pg.Client, text: string): Promise<unknown> {
    const query = this.#querying.catch(() => {}).then(() => client.query(text));
    this.#querying = query;
    return query;
  }

  #onLost(): void {
    this.#connection = null;
    if (this.#closing.signal.aborted) return;
    this.#wasLost = true;
    this.options.logger?.warn({}, 'the connection that waits for notifications was lost');
    this.#reconnecting = this.#reconnect();
    this.#reportMissed();
  }

  async #reconnect(): Promise<void> {
    const backoff = new ExponentialBackoff({ initialDelay: FIRST_PAUSE_MS, maxDelay: LONGEST_PAUSE_MS });
    try {
      await retry(handleAll, { backoff, maxAttempts: Number.POSITIVE_INFINITY }).execute(
        () => this.#connect(),
        this.#closing.signal,
      );
    } catch {
      // The listener is being closed.
    }
  }

  #reportMissed(): void {
    for (const listeners of this.#channels.values()) for (const onNotification of listeners) onNotification(null);
  }
}

function listenTo(channel: string): string {
  return `listen ${pg.escapeIdentifier(channel)}`;
}
