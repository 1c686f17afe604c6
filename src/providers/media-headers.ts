import type { IncomingHttpHeaders } from 'node:http';
import { parseContentRange } from '../model/byte-range.js';
import { normalizeMimeType } from '../model/mime-type.js';

/** What the headers of an answer with bytes tell of the media. */
export interface MediaHeaders {
  readonly mimeType: string | null;
  /** Of the whole media, also where the answer holds a part (RFC 9110 section 14.4). */
  readonly sizeBytes: number | null;
  readonly filename: string | null;
  readonly lastModified: Date | null;
}

/** @param statusCode 206: the headers are those of a part */
export function readMediaHeaders(headers: IncomingHttpHeaders, statusCode = 200): MediaHeaders {
  return {
    mimeType: normalizeMimeType(single(headers['content-type'])),
    sizeBytes: statusCode === 206 ? sizeOfWhole(headers) : announcedSize(headers['content-length']),
    filename: dispositionFilename(single(headers['content-disposition'])),
    lastModified: parseDate(headers['last-modified']),
  };
}

/** undici gives a header that came twice as a list, against its type; which of them is meant is anybody's guess. */
function single(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function sizeOfWhole(headers: IncomingHttpHeaders): number | null {
  return parseContentRange(headers['content-range'])?.sizeBytes ?? null;
}

function announcedSize(length: string | undefined): number | null {
  const size = length === undefined || !/^\d+$/.test(length) ? Number.NaN : Number(length);
  return Number.isSafeInteger(size) ? size : null;
}

/** RFC 6266 section 4.3: `filename*` wins over `filename`; an unquoted name (Meta writes them) is taken too. */
function dispositionFilename(header: string | undefined): string | null {
  if (header === undefined) return null;
  const parameters = new Map(
    // A quoted value is taken whole, so that nothing inside it is a parameter.
    [...header.matchAll(/(?:^|;)\s*([^\s;="]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;"]*)/g)].map(
      ([, name = '', value = '']) => [name.toLowerCase(), value],
    ),
  );
  const extended = /^utf-8'[^']*'(.+)$/i.exec(parameters.get('filename*') ?? '')?.[1];
  if (extended !== undefined) {
    try {
      return decodeURIComponent(extended);
    } catch {
      // Not UTF-8 after all: the plain name below is the better one.
    }
  }
  const plain = parameters.get('filename') ?? '';
  return (plain.startsWith('"') ? plain.slice(1, -1).replace(/\\(.)/g, '$1') : plain) || null;
}

/** An HTTP date or an RFC 2822 one; null for none or nonsense. */
export function parseDate(text: string | null | undefined): Date | null {
  const milliseconds = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds);
}
