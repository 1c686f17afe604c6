import type { IncomingMessage, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../model/clock.js';
import { upTo } from '../../model/lru-limit.js';
import type { Delivery } from '../deliver.js';
import { selectRange } from './byte-ranges.js';

/** An answer that can be given again: what stands in it whatever part is asked for, and where its bytes are. */
export interface HotAnswer {
  readonly headers: Readonly<Record<string, string | number>>;
  /** Milliseconds since the epoch: when the link ends. */
  readonly expiresAt: number;
  /** `private` or `public`. */
  readonly visibility: string;
  readonly bytesInMemory: NonNullable<Delivery['bytesInMemory']>;
}

export interface HotAnswersOptions {
  readonly clock: Clock;
  readonly requestId: (request: IncomingMessage) => string;
  /** Called when an answer is out. */
  readonly onAnswered: (requestId: string, status: number, ms: number) => void;
}

const MAX_ANSWERS = 5_000;
/** What asks for something else than bytes; rare for what browsers and CDNs do not have yet. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range'] as const;

/**
 * Links that were opened a moment ago, answered from memory without a router and its hooks in between, which cost more
 * than everything else about a small picture. Only what was verified, byte for byte, and is known to be there still; all
 * else is left to the route.
 */
export class HotAnswers {
  readonly #answers = new LRUCache<string, HotAnswer>(upTo(MAX_ANSWERS));

  constructor(private readonly options: HotAnswersOptions) {}

  remember(request: IncomingMessage, answer: HotAnswer): void {
    this.#answers.set(nameOf(request), answer);
  }

  /** @returns whether it was answered */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET' || !request.url?.startsWith('/media/')) return false;
    const name = nameOf(request);
    const known = this.#answers.get(name);
    if (!known) return false;
    const now = this.options.clock.now();
    if (now >= known.expiresAt) {
      this.#answers.delete(name);
      return false;
    }
    if (CONDITIONS.some((condition) => request.headers[condition] !== undefined)) return false;
    const bytes = known.bytesInMemory();
    if (!bytes) return false;
    const range = selectRange(request.headers.range, bytes.length);
    if (range === 'unsatisfiable') return false;
    this.#send(request, response, known, bytes, range, now);
    return true;
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    { headers, expiresAt, visibility }: HotAnswer,
    bytes: Buffer,
    range: Exclude<ReturnType<typeof selectRange>, 'unsatisfiable'>,
    now: number,
  ): void {
    const requestId = this.options.requestId(request);
    const from = performance.now();
    const status = range === 'whole' ? 200 : 206;
    response.once('finish', () => this.options.onAnswered(requestId, status, performance.now() - from));
    const part = range === 'whole' ? bytes : bytes.subarray(range.start, range.end + 1);
    response.writeHead(status, {
      ...headers,
      'cache-control': `${visibility}, max-age=${Math.floor((expiresAt - now) / 1000)}, immutable`,
      'content-length': part.length,
      ...(range !== 'whole' && { 'content-range': `bytes ${range.start}-${range.end}/${bytes.length}` }),
      'x-request-id': requestId,
    });
    response.end(part);
  }
}

/** A still's format depends on the reader, too. */
function nameOf({ url = '', headers }: IncomingMessage): string {
  return `${url}\n${headers.accept ?? ''}`;
}
