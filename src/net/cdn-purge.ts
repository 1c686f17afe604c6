import { Pool } from 'undici';

export interface CdnPurgeOptions {
  /** Receives a POST for each purge. */
  readonly url: string;
  /** Usually credentials. They are sent to this URL only. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/**
 * Purges everything with a cache tag from a CDN, or from a service in front of its API. The request is a `POST` with
 * the tag in `cache-tag`, `surrogate-key` and `xkey` (Cloudflare, Fastly, Varnish) and in the body as `{"tags":["…"]}`.
 * Any 2xx is success.
 */
export class CdnPurge {
  readonly #pool: Pool;
  readonly #path: string;

  constructor(private readonly options: CdnPurgeOptions) {
    const { origin, pathname, search } = new URL(options.url);
    this.#pool = new Pool(origin, { connections: 4 });
    this.#path = pathname + search;
  }

  /** Rejects with an Error that names neither path nor headers, since either may contain a key. */
  async purge(tag: string): Promise<void> {
    const { statusCode, body } = await this.#pool.request({
      method: 'POST',
      path: this.#path,
      headers: {
        'content-type': 'application/json',
        'cache-tag': tag,
        'surrogate-key': tag,
        xkey: tag,
        ...this.options.headers,
      },
      body: JSON.stringify({ tags: [tag] }),
      signal: AbortSignal.timeout(this.options.timeoutMs),
    });
    await body.dump();
    if (statusCode < 200 || statusCode > 299) throw new Error(`expected a 2xx from the purge URL, got ${statusCode}`);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}
