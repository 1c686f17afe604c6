import { Pool } from 'undici';

/** What a server is asked, and what it must answer every time: the same characters, but for white space at the end. */
export interface Exchange {
  readonly body: string;
  readonly answer: string;
}

export interface Load {
  readonly requests: number;
  /** Requests under way at once, each on a connection of its own. */
  readonly concurrency: number;
}

export interface LoadResult {
  readonly elapsedMs: number;
  /** One a request, milliseconds. */
  readonly latencies: readonly number[];
}

/** A client of one `/graphql` that keeps its connections. */
export class GraphQLClient {
  readonly #pool: Pool;

  constructor(origin: string, connections: number) {
    this.#pool = new Pool(origin, { connections, headersTimeout: 60_000, bodyTimeout: 60_000 });
  }

  async ask(body: string): Promise<string> {
    const response = await this.#pool.request({
      path: '/graphql',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    const text = (await response.body.text()).trimEnd();
    if (response.statusCode === 200) return text;
    throw new Error(`expected status 200, got ${response.statusCode}: ${text.slice(0, 500)}`);
  }

  /** Sends the same request over and over. Rejects at the first answer that is another one. */
  async drive({ body, answer }: Exchange, { requests, concurrency }: Load): Promise<LoadResult> {
    const latencies: number[] = [];
    const startedAt = performance.now();
    let started = 0;
    const worker = async (): Promise<void> => {
      while (started < requests) {
        started += 1;
        const sentAt = performance.now();
        const text = await this.ask(body);
        latencies.push(performance.now() - sentAt);
        if (text !== answer) throw new Error(`expected the answer that was checked, got ${text.slice(0, 500)}`);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    return { elapsedMs: performance.now() - startedAt, latencies };
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}
