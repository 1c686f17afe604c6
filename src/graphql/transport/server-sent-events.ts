import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { endableIterator } from '../execution/endable-iterator.js';
import type { StreamedResults } from '../execution/streamed-operations.js';
import { PING_INTERVAL_MS } from './entrance.js';

export const EVENT_STREAM_TYPE = 'text/event-stream';

/** An event without fields: a comment, which clients ignore (HTML standard, "Server-sent events"). */
const PING = ':\n\n';

/**
 * Sends results in the "distinct connections mode" of graphql-sse's PROTOCOL.md: an event `next` with each result, then
 * `complete`. The library's own handler queues without limit what a slow client does not read. Here the next result is
 * made after the socket has taken the previous one.
 */
export function sendEvents(reply: FastifyReply, results: StreamedResults): void {
  const events = Readable.from(eventsOf(results), { objectMode: false, highWaterMark: 1 });
  const ping = setInterval(() => {
    if (!reply.raw.writableNeedDrain) reply.raw.write(PING);
  }, PING_INTERVAL_MS);
  reply.raw.once('close', () => clearInterval(ping));
  reply
    .headers({
      'content-type': `${EVENT_STREAM_TYPE}; charset=utf-8`,
      'cache-control': 'no-store',
      // Without it, nginx buffers events.
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    })
    .send(events);
}

function eventsOf(results: StreamedResults): AsyncIterableIterator<string> {
  let state: 'unopened' | 'open' | 'complete' = 'unopened';
  return endableIterator({
    async next() {
      if (state === 'complete') return { value: undefined, done: true };
      if (state === 'unopened') {
        state = 'open';
        // The client learns from the headers, which this sends, that it misses no event from now on.
        return { value: PING, done: false };
      }
      const { value, done } = await results.next();
      if (!done) return { value: `event: next\ndata: ${JSON.stringify(value)}\n\n`, done: false };
      state = 'complete';
      return { value: 'event: complete\ndata:\n\n', done: false };
    },
    end: () => results.return?.(),
  });
}
