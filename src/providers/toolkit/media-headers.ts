import type { IncomingHttpHeaders } from 'node:http';
import { parseContentRange } from '../../model/byte-range.js';
import { normalizeMimeType } from '../../model/text/mime-type.js';
import { dispositionName } from './disposition-name.js';

/** Facts about a media in the headers of a response with bytes. */
export interface MediaHeaders {
  readonly mimeType: string | null;
  /** Size of the whole media, also if the response holds a part (RFC 9110 section 14.4). */
  readonly sizeBytes: number | null;
  readonly filename: string | null;
  readonly lastModified: Date | null;
}

/** @param statusCode 206 means that the headers describe a part */
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

/** undici passes a repeated header as a list, against its type. Which value is meant is unknown. */
function single(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A content-coded body has another size than the media. */
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

/** Parses an HTTP date or an RFC 2822 date; null for none or an invalid one. */
export function parseDate(text: string | null | undefined): Date | null {
  const milliseconds = text && text.length <= MAX_DATE_CHARACTERS ? Date.parse(text) : Number.NaN;
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds);
}
