import type { IncomingHttpHeaders } from 'node:http';

/** The validators of a representation. Null: it has no such validator. */
export interface Validators {
  /** A strong entity tag with its quotes (RFC 9110 section 8.8.3). */
  readonly etag: string | null;
  readonly lastModified: Date | null;
}

export type Outcome = 'proceed' | 'not modified' | 'failed';

/** Evaluates the preconditions of a GET or HEAD in the order of RFC 9110 section 13.2.2. */
export function evaluatePreconditions(headers: IncomingHttpHeaders, { etag, lastModified }: Validators): Outcome {
  const modified = secondsOf(lastModified);
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, etag, 'strong')) return 'failed';
  } else {
    const unmodifiedSince = secondsOf(parseHttpDate(headers['if-unmodified-since']));
    if (unmodifiedSince !== null && modified !== null && modified > unmodifiedSince) return 'failed';
  }
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, etag, 'weak') ? 'not modified' : 'proceed';
  const modifiedSince = secondsOf(parseHttpDate(headers['if-modified-since']));
  return modifiedSince !== null && modified !== null && modified <= modifiedSince ? 'not modified' : 'proceed';
}

/** Whether a `Range` applies: there is no `If-Range`, or it holds the current validator (section 13.1.5). */
export function rangeStillApplies(header: string | string[] | undefined, { etag, lastModified }: Validators): boolean {
  if (header === undefined) return true;
  if (typeof header !== 'string') return false;
  const tag = header.trim();
  if (tag.startsWith('"') || tag.startsWith('W/')) return etag !== null && tag === etag;
  // Section 13.1.5 requires a strong validator. The bytes of a media never change, so its date in seconds is one.
  const date = secondsOf(parseHttpDate(tag));
  return date !== null && date === secondsOf(lastModified);
}

const ENTITY_TAG = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]*")$/;

/** Sections 13.1.1 and 13.1.2: `*`, or a list of entity tags. A malformed tag matches nothing. */
function matches(header: string, etag: string | null, comparison: 'strong' | 'weak'): boolean {
  if (header.trim() === '*') return true;
  if (etag === null) return false;
  return splitTags(header).some((text) => {
    const [, weak, tag] = ENTITY_TAG.exec(text) ?? [];
    return tag === etag && (comparison === 'weak' || weak === undefined);
  });
}

/** Splits at commas outside of quotes, since an entity tag may contain commas. */
function splitTags(list: string): string[] {
  return (list.match(/(?:"[^"]*"|[^,"])+/g) ?? []).map((text) => text.trim());
}

/** IMF-fixdate and the two obsolete forms of section 5.6.7. Null for anything else, which is ignored. */
function parseHttpDate(text: string | undefined): Date | null {
  if (text === undefined) return null;
  const isAsctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/.test(text);
  const isDate = /^[A-Z][a-z]{2,8}, (\d{2} [A-Z][a-z]{2} \d{4}|\d{2}-[A-Z][a-z]{2}-\d{2}) \d{2}:\d{2}:\d{2} GMT$/;
  if (!isAsctime && !isDate.test(text)) return null;
  const milliseconds = Date.parse(
    isAsctime ? `${text} GMT` : text.replace(/-(\d\d) /, (_, year) => `-${fullYear(year)} `),
  );
  return Number.isNaN(milliseconds) ? null : new Date(milliseconds);
}

/** A two-digit year is the latest year with these digits that is at most 50 years ahead (section 5.6.7). */
function fullYear(lastDigits: string): number {
  const latest = new Date().getUTCFullYear() + 50;
  const year = latest - (latest % 100) + Number(lastDigits);
  return year > latest ? year - 100 : year;
}

/** HTTP dates have whole seconds. */
function secondsOf(date: Date | null): number | null {
  return date && Math.floor(date.getTime() / 1000);
}
