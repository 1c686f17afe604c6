import type { IncomingMessage } from 'node:http';
import { selectRange } from './byte-ranges.js';

/** nginx evaluates these by the time of the file, also after this server has found them to hold. */
const CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'] as const;
/** One range. nginx refuses some spellings that this server ignores or accepts, and sends several ranges as one body. */
const ONE_RANGE = /^bytes=(?:\d{1,15}-\d{0,15}|-\d{1,15})$/i;

/**
 * Whether a proxy gives the same answer from the file as this server from the bytes: to a GET of the whole or of one
 * satisfiable range, `If-Range` included. HEAD has no bytes to send.
 */
export function isForProxy(
  { method, headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  sizeBytes: number,
): boolean {
  if (method !== 'GET' || CONDITIONS.some((condition) => headers[condition] !== undefined)) return false;
  if (headers.range === undefined) return true;
  return ONE_RANGE.test(headers.range) && typeof selectRange(headers.range, sizeBytes) === 'object';
}
