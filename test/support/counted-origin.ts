import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

export interface OriginRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** null: the server behind did not answer. */
  readonly status: number | null;
  readonly bodyBytes: number;
}

/** A proxy between a cache and our server that records all requests. */
export class CountedOrigin {
  /** What was answered, in order; several tests may share one, so clear it before counting. */
  readonly requests: OriginRequest[] = [];
  /** The server behind; null: the proxy closes every connection. */
  target: string | null = null;
  readonly #server = createServer((incoming, answer) => void this.#pass(incoming, answer));
  #url = '';

  static async start(): Promise<CountedOrigin> {
    const origin = new CountedOrigin();
    origin.#server.listen(0, '127.0.0.1');
    await once(origin.#server, 'listening');
    const address = origin.#server.address();
    if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
    origin.#url = `http://127.0.0.1:${address.port}`;
    return origin;
  }

  get url(): URL {
    return new URL(this.#url);
  }

  /** The statuses of the requests since {@link clear}. */
  get statuses(): Array<number | null> {
    return this.requests.map(({ status }) => status);
  }

  clear(): void {
    this.requests.length = 0;
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async #pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = incoming;
    let status: number | null = null;
    let bodyBytes = 0;
    try {
      if (this.target === null) throw new Error('the server behind is gone');
      // Without an agent, that no connection outlives its request.
      const passed = request(new URL(path, this.target), { method, headers, agent: false, path });
      incoming.pipe(passed);
      const [answered] = await once(passed, 'response');
      if (!isAnswer(answered)) throw new Error('expected an answer');
      status = answered.statusCode ?? null;
      answer.writeHead(answered.statusCode ?? 500, answered.rawHeaders);
      answered.on('data', (bytes: Buffer) => {
        bodyBytes += bytes.length;
      });
      // Counts before the last byte reaches the client, so that a test sees every answered request.
      answered.once('end', () => this.requests.push({ method, path, headers, status, bodyBytes }));
      await pipeline(answered, answer);
    } catch {
      if (status === null) this.requests.push({ method, path, headers, status, bodyBytes });
      answer.destroy();
    }
  }
}

function isAnswer(value: unknown): value is IncomingMessage {
  return typeof value === 'object' && value !== null && 'statusCode' in value && 'rawHeaders' in value;
}
