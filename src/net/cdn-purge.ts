import { Pool } from 'undici';

export interface CdnPurgeOptions {
  /** Asked with POST. */
  readonly url: string;
  /** Credentials, mostly; they go there and nowhere else. */
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/**
 * Tells a CDN, or what stands before its API, to drop everything that carries a tag: `POST`, the tag in `cache-tag`,
 * `surrogate-key` and `xkey`, as Cloudflare, Fastly and Varnish call it, and in the body as `{"tags":["…"]}`. 2xx means done.
 */
export class CdnPurge {
  readonly #pool: Pool;
  readonly #path: string;

  constructor(private readonly options: CdnPurgeOptions) {
    const { origin, pathname, search } = new URL(options.url);
    this.#pool = new Pool(origin, { connections: 4 });
    this.#path = pathname + search;
  }

  /** Rejects with an Error that names no path and no header: either may hold a key. */
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
