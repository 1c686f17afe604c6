import type { IncomingMessage, ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { ByteSpan } from '../../model/byte-range.js';
import type { Clock } from '../../model/clock.js';
import { upTo } from '../../model/lru-limit.js';
import type { Delivery, OffloadedFile } from '../delivery.js';
import { selectRange } from './byte-ranges.js';
import { isForProxy } from './offload.js';

/** A response that can be repeated: the headers that are the same for every range, and access to its bytes. */
export interface HotAnswer {
  readonly headers: Readonly<Record<string, string | number>>;
  /** When the link expires, in milliseconds since the epoch. */
  readonly expiresAt: number;
  /** `private` or `public`. */
  readonly visibility: string;
  readonly content: InMemory | InFile;
}

interface InMemory {
  readonly bytesInMemory: NonNullable<Delivery['bytesInMemory']>;
}

/** A proxy sends the bytes, and `headers` name the file. */
interface InFile {
  readonly offload: OffloadedFile;
  readonly sizeBytes: number;
}

export interface HotAnswersOptions {
  readonly clock: Clock;
  readonly requestId: (request: IncomingMessage) => string;
  /** Called when a response was sent. */
  readonly onAnswered: (answered: HotAnswered) => void;
}

export interface HotAnswered {
  readonly request: IncomingMessage;
  readonly requestId: string;
  readonly status: number;
  readonly ms: number;
  /** The length of the body. */
  readonly bytes: number;
  readonly source: 'memory' | 'proxy';
}

interface Sending {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly answer: HotAnswer;
  readonly now: number;
}

/** What a response sends itself. */
interface Part {
  readonly bytes: Buffer;
  /** Null: the whole. */
  readonly range: ByteSpan | null;
}

const NO_BYTES: Part = { bytes: Buffer.alloc(0), range: null };

const MAX_ANSWERS = 5_000;
/** The headers of conditional requests, which the route answers. They are rare for media that is not cached yet. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range'] as const;

/**
 * Answers links that were opened recently from memory, before the router, whose hooks cost more than all other work for
 * a small picture. It answers only a request line that was verified before, byte for byte, and media that is known to
 * exist. The route answers everything else.
 */
export class HotAnswers {
  readonly #answers = new LRUCache<string, HotAnswer>(upTo(MAX_ANSWERS));

  constructor(private readonly options: HotAnswersOptions) {}

  remember(request: IncomingMessage, answer: HotAnswer): void {
    this.#answers.set(nameOf(request), answer);
  }

  /** @returns whether the request was answered */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'GET' || !request.url?.startsWith('/media/')) return false;
    const name = nameOf(request);
    const answer = this.#answers.get(name);
    if (!answer) return false;
    const now = this.options.clock.now();
    if (now >= answer.expiresAt) {
      this.#answers.delete(name);
      return false;
    }
    if (CONDITIONS.some((condition) => request.headers[condition] !== undefined)) return false;
    const part = partOf(request, answer.content);
    if (!part) return false;
    this.#send({ request, response, answer, now }, part);
    return true;
  }

  #send({ request, response, answer, now }: Sending, { bytes, range }: Part): void {
    const { headers, expiresAt, visibility } = answer;
    const requestId = this.options.requestId(request);
    const startedAt = performance.now();
    const status = range === null ? 200 : 206;
    const part = range === null ? bytes : bytes.subarray(range.start, range.end + 1);
    const source = 'offload' in answer.content ? 'proxy' : 'memory';
    response.once('finish', () => {
      const ms = performance.now() - startedAt;
      this.options.onAnswered({ request, requestId, status, ms, bytes: part.length, source });
    });
    response.writeHead(status, {
      ...headers,
      'cache-control': `${visibility}, max-age=${Math.floor((expiresAt - now) / 1000)}, immutable`,
      'content-length': part.length,
      ...(range !== null && { 'content-range': `bytes ${range.start}-${range.end}/${bytes.length}` }),
      'x-request-id': requestId,
    });
    // An empty chunk would cost a second buffer in the same write.
    if (part.length === 0) response.end();
    else response.end(part);
  }
}

/** Null: the route has to answer. */
function partOf(request: IncomingMessage, content: InMemory | InFile): Part | null {
  if ('offload' in content) {
    const isReady = isForProxy(request, content.sizeBytes) && content.offload.isKnown();
    return isReady ? NO_BYTES : null;
  }
  const bytes = content.bytesInMemory();
  const range = bytes && selectRange(request.headers.range, bytes.length);
  if (!bytes || range === null || range === 'unsatisfiable') return null;
  return { bytes, range: range === 'whole' ? null : range };
}

/** A still's format depends on the client's `Accept` header too. */
function nameOf({ url = '', headers }: IncomingMessage): string {
  return `${url}\n${headers.accept ?? ''}`;
}
