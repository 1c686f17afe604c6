import type { IncomingHttpHeaders } from 'node:http';
import { normalizeMimeType } from '../model/mime-type.js';

/** What the headers of an answer with bytes tell of the media. */
export interface MediaHeaders {
  readonly mimeType: string | null;
  /** Of the whole media, also where the answer holds a part (RFC 9110 section 14.4). */
  readonly sizeBytes: number | null;
  readonly filename: string | null;
  readonly lastModified: Date | null;
}

export function readMediaHeaders(headers: IncomingHttpHeaders): MediaHeaders {
  return {
    mimeType: normalizeMimeType(headers['content-type']),
    sizeBytes: wholeSize(headers),
    filename: dispositionFilename(headers['content-disposition']),
    lastModified: parseDate(headers['last-modified']),
  };
}

function wholeSize(headers: IncomingHttpHeaders): number | null {
  const range = headers['content-range'];
  const text = range === undefined ? headers['content-length'] : /\/(\d+)$/.exec(range)?.[1];
  const size = text === undefined || !/^\d+$/.test(text) ? Number.NaN : Number(text);
  return Number.isSafeInteger(size) ? size : null;
}

/** RFC 6266 section 4.3: `filename*` wins over `filename`; an unquoted name (Meta writes them) is taken too. */
function dispositionFilename(header: string | undefined): string | null {
  if (header === undefined) return null;
  const extended = /filename\*\s*=\s*utf-8'[^']*'([^;\s]+)/i.exec(header)?.[1];
  if (extended !== undefined) {
    try {
      return decodeURIComponent(extended);
    } catch {
      // Not UTF-8 after all: the plain name below is the better one.
    }
  }
  const quoted = /filename\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(header)?.[1];
  if (quoted !== undefined) return quoted.replace(/\\(.)/g, '$1') || null;
  return /filename\s*=\s*([^;\s"]+)/i.exec(header)?.[1] ?? null;
}

/** An HTTP date or an RFC 2822 one; null for none or nonsense. */
export function parseDate(text: string | null | undefined): Date | null {
  const milliseconds = text ? Date.parse(text) : Number.NaN;
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds);
}
