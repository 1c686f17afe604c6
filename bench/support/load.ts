import { Pool } from 'undici';

/** What a server is asked, and what becomes of its answer. */
export interface Question {
  readonly body: string;
  /** @throws Error when the answer is not what it should be */
  check(answer: string): void;
}

export interface LoadResult {
  readonly elapsedMs: number;
  /** One a request, milliseconds. */
  readonly latencies: readonly number[];
}

/** A client of one `/graphql` that keeps its connections. */
export class GraphQLClient {
  readonly #pool: Pool;

  /** @param headers of every request */
  constructor(
    origin: string,
    connections: number,
    private readonly headers: Readonly<Record<string, string>> = {},
  ) {
    this.#pool = new Pool(origin, { connections, headersTimeout: 60_000, bodyTimeout: 60_000 });
  }

  async ask(body: string): Promise<string> {
    const response = await this.#pool.request({
      path: '/graphql',
      method: 'POST',
      headers: { 'content-type': 'application/json', ...this.headers },
      body,
    });
    const text = (await response.body.text()).trimEnd();
    if (response.statusCode === 200) return text;
    throw new Error(`expected status 200, got ${response.statusCode}: ${text.slice(0, 500)}`);
  }

  /** Asks one question after the other, `concurrency` at once. Rejects at the first answer that is not as it should be. */
  async drive(questions: readonly Question[], concurrency: number): Promise<LoadResult> {
    const latencies: number[] = [];
    const left = questions.values();
    const startedAt = performance.now();
    const worker = async (): Promise<void> => {
      // All workers take from one iterator.
      for (const question of left) {
        const sentAt = performance.now();
        const answer = await this.ask(question.body);
        latencies.push(performance.now() - sentAt);
        question.check(answer);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    return { elapsedMs: performance.now() - startedAt, latencies };
  }

  close(): Promise<void> {
    return this.#pool.close();
  }
}
