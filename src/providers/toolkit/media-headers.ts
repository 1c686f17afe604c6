import type { IncomingHttpHeaders } from 'node:http';
import { parseContentRange } from '../../model/byte-range.js';
import { normalizeMimeType } from '../../model/mime-type.js';
import { dispositionName } from './disposition-name.js';

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
    sizeBytes: sizeOf(headers, statusCode),
    filename: nameIn(single(headers['content-disposition'])),
    lastModified: parseDate(headers['last-modified']),
  };
}

function nameIn(disposition: string | undefined): string | null {
  return disposition === undefined ? null : dispositionName(disposition);
}

/** undici gives a header that came twice as a list, against its type; which of them is meant is anybody's guess. */
function single(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** What is still in a content coding is of another size than the media. */
function sizeOf(headers: IncomingHttpHeaders, statusCode: number): number | null {
  if (headers['content-encoding'] !== undefined) return null;
  return statusCode === 206 ? sizeOfWhole(headers) : announcedSize(headers['content-length']);
}

function sizeOfWhole(headers: IncomingHttpHeaders): number | null {
  return parseContentRange(headers['content-range'])?.sizeBytes ?? null;
}

function announcedSize(length: string | undefined): number | null {
  const size = length === undefined || !/^\d+$/.test(length) ? Number.NaN : Number(length);
  return Number.isSafeInteger(size) ? size : null;
}

const MAX_DATE_CHARACTERS = 64;

/** An HTTP date or an RFC 2822 one; null for none or nonsense. */
export function parseDate(text: string | null | undefined): Date | null {
  const milliseconds = text && text.length <= MAX_DATE_CHARACTERS ? Date.parse(text) : Number.NaN;
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds);
}
